/** Judges whether a text is well-formed XML, and reads the elements of it. */

export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Text directly inside, entities replaced. */
  text: string;
  readonly parent: Element | null;
}

const TAG = /<(\/?)([A-Za-z_][\w:.-]*)((?:\s+[\w:.-]+\s*=\s*"[^"<]*")*)\s*(\/?)>/y;
const ATTRIBUTE = /([\w:.-]+)\s*=\s*"([^"]*)"/g;

/** Every element in order. Throws at what is not well-formed. */
export function elementsOf(xml: string): Element[] {
  const all: Element[] = [];
  let open: Element | null = null;
  for (let at = 0; at < xml.length; ) {
    if (xml[at] !== '<') {
      const end = xml.indexOf('<', at);
      const text = plain(xml.slice(at, end < 0 ? xml.length : end));
      if (open !== null) open.text += text;
      else if (text.trim() !== '') throw new Error(`text outside of the root: ${text}`);
      at = end < 0 ? xml.length : end;
      continue;
    }
    TAG.lastIndex = at;
    const match = TAG.exec(xml);
    if (match === null) throw new Error(`no tag at ${at}: ${xml.slice(at, at + 60)}`);
    const [whole, isEnd, name = '', attributes = '', isEmpty] = match;
    if (isEnd !== '') {
      if (open?.name !== name) throw new Error(`</${name}> closes <${open?.name}>`);
      open = open.parent;
    } else {
      if (open === null && all.length > 0) throw new Error('two roots');
      const element: Element = { name, attributes: attributesOf(attributes), text: '',
        parent: open };
      all.push(element);
      if (isEmpty === '') open = element;
    }
    at += whole.length;
  }
  if (open !== null) throw new Error(`<${open.name}> is not closed`);
  return all;
}

function attributesOf(text: string): Record<string, string> {
  const pairs = [...text.matchAll(ATTRIBUTE)].map(([, name = '', value = '']) =>
    [name, plain(value)] as const);
  if (new Set(pairs.map(([name]) => name)).size !== pairs.length) {
    throw new Error(`an attribute twice: ${text}`);
  }
  return Object.fromEntries(pairs);
}

function plain(text: string): string {
  const left = text.replace(/&(#\d+|amp|lt|gt|quot|apos);/g, '');
  if (left.includes('&')) throw new Error(`a bare & in ${text}`);
  return text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
    .replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"')
    .replaceAll('&apos;', '\'').replaceAll('&amp;', '&');
}
