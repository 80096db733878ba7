/**
 * The script inside a flame graph: zoom, search, keyboard. Plain and without anything from
 * elsewhere; where scripts do not run the drawing is whole without it. After Brendan Gregg's
 * flamegraph.pl.
 */

/** Runs in the document; frames carry their place as fractions of the whole. */
export const FLAME_SCRIPT = `
(function () {
  'use strict';
  var svg = document.documentElement, PAD = +svg.dataset.pad, WIDE = +svg.dataset.wide;
  var CHAR = +svg.dataset.char, frames = [].slice.call(document.querySelectorAll('.f'));
  var reset = document.getElementById('reset'), find = document.getElementById('find');
  var matched = document.getElementById('matched'), about = document.getElementById('about');
  var zoomed = null, idle = about.textContent;
  frames.forEach(function (g) {
    g.x0 = +g.dataset.x; g.w0 = +g.dataset.w; g.level = +g.dataset.l; g.label = g.dataset.t;
    g.name = g.dataset.n;
    g.box = g.querySelector('rect'); g.ink = g.querySelector('text');
    g.tip = g.querySelector('title').textContent;
  });
  function place(g, x, w) {
    g.style.display = w * WIDE < 0.08 ? 'none' : '';
    var left = PAD + x * WIDE, wide = w * WIDE, fit = Math.floor((wide - 6) / CHAR);
    g.box.setAttribute('x', left.toFixed(2));
    g.box.setAttribute('width', Math.max(0.3, wide - 0.6).toFixed(2));
    g.ink.setAttribute('x', (left + 4).toFixed(2));
    g.ink.textContent = g.label.length <= fit ? g.label : g.name.length <= fit ? g.name
      : fit < 3 ? '' : g.name.slice(0, fit - 1) + '\\u2026';
  }
  function zoom(to) {
    var x = to.x0, w = to.w0, end = x + w, slack = 1e-9;
    zoomed = to.level === 0 ? null : to;
    frames.forEach(function (g) {
      var isBelow = g.level < to.level && g.x0 <= x + slack && g.x0 + g.w0 >= end - slack;
      g.classList.toggle('below', isBelow && zoomed !== null);
      if (isBelow) place(g, 0, 1);
      else if (g.x0 >= x - slack && g.x0 + g.w0 <= end + slack && g.level >= to.level) {
        place(g, (g.x0 - x) / w, g.w0 / w);
      } else g.style.display = 'none';
    });
    reset.style.visibility = zoomed ? 'visible' : 'hidden';
  }
  function search(term) {
    var test, hits = [], sum = 0, right = -1;
    if (term) {
      try { test = new RegExp(term, 'i'); } catch (e) {
        test = { test: function (s) { return s.toLowerCase().indexOf(term.toLowerCase()) >= 0; } };
      }
    }
    frames.forEach(function (g) {
      var hit = !!test && g.level > 0 && test.test(g.tip.split('\\n')[0]);
      g.classList.toggle('hit', hit);
      if (hit) hits.push(g);
    });
    hits.sort(function (a, b) { return a.x0 - b.x0 || b.w0 - a.w0; });
    hits.forEach(function (g) {
      if (g.x0 >= right - 1e-9) { sum += g.w0; right = g.x0 + g.w0; }
    });
    svg.classList.toggle('searching', !!test);
    matched.textContent = test ? 'matched ' + (100 * sum).toFixed(1) + ' %' : '';
    find.textContent = test ? 'Clear search' : 'Search';
  }
  function ask() {
    if (svg.classList.contains('searching')) search('');
    else search(window.prompt('Search frames (a regular expression):', '') || '');
  }
  // What is longer than the drawing is wide loses its middle: a part of the path.
  function say(text) {
    about.textContent = text;
    var fit = Math.floor(text.length * WIDE / about.getComputedTextLength()) - 2;
    if (fit >= text.length - 2) return;
    var head = Math.floor(fit / 3);
    about.textContent = text.slice(0, head) + '\\u2026' + text.slice(text.length - fit + head);
  }
  function keyed(work) {
    return function (e) {
      if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); work(); }
    };
  }
  frames.forEach(function (g) {
    var go = function () { zoom(g); };
    var tell = function () { say(g.tip.replace(/\\n/g, ' \\u00b7 ')); };
    g.addEventListener('click', go);
    g.addEventListener('keydown', keyed(go));
    g.addEventListener('mouseenter', tell);
    g.addEventListener('focus', tell);
    g.addEventListener('mouseleave', function () { about.textContent = idle; });
  });
  var whole = function () { zoom(frames[0]); };
  reset.addEventListener('click', whole);
  reset.addEventListener('keydown', keyed(whole));
  find.addEventListener('click', ask);
  find.addEventListener('keydown', keyed(ask));
  window.addEventListener('keydown', function (e) {
    if (e.key === 'Escape') { if (zoomed) whole(); else search(''); }
    if (e.key === '/' || ((e.ctrlKey || e.metaKey) && e.key === 'f')) { e.preventDefault(); ask(); }
  });
  find.style.visibility = 'visible';
}());
`;
