/** How a report looks. Light or dark as the reader has it, or as the button says. */
export const STYLE = `
:root{color-scheme:light dark;--ground:#fff;--text:#1f2328;--soft:#59636e;--line:#d1d9e0;
--panel:#f6f8fa;--bar:#4285f4;--free:#e4e8ec;--live:#1a5fc8;--method:#8c959f;--focus:#0969da;
--young:#b35900;--old:#12507b;--alarm:#b42318}
@media(prefers-color-scheme:dark){:root:not([data-theme=light]){--ground:#0d1117;--text:#e6edf3;
--soft:#9ea7b3;--line:#3d444d;--panel:#151b23;--bar:#4c8ff5;--free:#262c36;--live:#58a6ff;
--method:#6e7681;--focus:#4493f8;--young:#f0a04b;--old:#2f6f9f;--alarm:#ff7b72}}
:root[data-theme=dark]{color-scheme:dark;--ground:#0d1117;--text:#e6edf3;--soft:#9ea7b3;
--line:#3d444d;--panel:#151b23;--bar:#4c8ff5;--free:#262c36;--live:#58a6ff;--method:#6e7681;
--focus:#4493f8;--young:#f0a04b;--old:#2f6f9f;--alarm:#ff7b72}
:root[data-theme=light]{color-scheme:light}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,sans-serif}
main{max-width:1180px;margin:0 auto;padding:24px 20px 64px}
header{display:flex;gap:16px;align-items:start;justify-content:space-between}
h1{font-size:24px;margin:0;overflow-wrap:anywhere}
h2{font-size:19px;margin:40px 0 8px;padding-top:16px;border-top:1px solid var(--line);
overflow-wrap:anywhere}
h3{font-size:15px;margin:24px 0 6px}
p{margin:4px 0 8px}.soft{color:var(--soft)}.alarm{color:var(--alarm)}
nav a{margin-right:14px}a{color:var(--focus)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;max-width:100%}
.scroll{overflow-x:auto}
th,td{padding:3px 14px 3px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--soft);white-space:nowrap}
.n{text-align:right;white-space:nowrap}
td.bar{width:45%;min-width:120px;padding-right:0}
td.bar i{display:block;height:12px;margin-top:5px;width:var(--w);min-width:1px;
background:var(--bar);border-radius:2px}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(320px,1fr));gap:0 40px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 18px;margin:8px 0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
button,select{font:inherit;color:inherit;background:var(--panel);border:1px solid var(--line);
border-radius:6px;padding:3px 10px}
button:focus-visible,select:focus-visible,canvas:focus-visible,summary:focus-visible,
a:focus-visible{outline:2px solid var(--focus);outline-offset:2px}
.map{position:relative}.tools{display:flex;flex-wrap:wrap;gap:8px;align-items:center;margin:6px 0}
canvas{display:block;width:100%;height:360px;border:1px solid var(--line);border-radius:6px;
background:var(--panel);touch-action:none;cursor:crosshair}
.say{min-height:1.5em;margin:6px 0;font-variant-numeric:tabular-nums}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;color:var(--soft)}
.legend i{display:inline-block;width:11px;height:11px;margin-right:6px;border-radius:2px;
border:1px solid var(--line)}
details{margin-left:18px}details.top{margin-left:0}
summary{cursor:pointer}.leaf{margin-left:32px}
.keeps{display:inline-block;width:90px;height:9px;margin-right:8px;background:var(--free);
border-radius:2px;vertical-align:baseline}
.keeps i{display:block;height:9px;width:var(--w);background:var(--bar);border-radius:2px}
svg{max-width:100%;height:auto}svg text{fill:var(--soft);font:12px system-ui,sans-serif}
svg .column{fill:var(--bar)}svg .labelled{fill:var(--young)}svg .axis{stroke:var(--line)}
@media print{.tools,nav,#theme{display:none}}
`;
