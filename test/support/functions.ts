/** Finds long functions in TypeScript source by its braces; good enough to keep them short. */

const WORDS = '(export |async |static |get |set |\\*)*';
const METHOD = `${WORDS}#?\\w+\\s*(<[^>]*>)?\\(.*\\).*\\{$`;
const START = new RegExp(`^\\s*(${WORDS}function\\b|${METHOD}|.*=>\\s*\\{$)`);

/** `line: n lines` for each function with more than `limit` lines; nested ones count alone. */
export function longFunctions(source: string, limit: number): string[] {
  const lines = source.split('\n');
  const found: string[] = [];
  lines.forEach((line, i) => {
    if (!START.test(line) || /^\s*(if|for|while|switch|describe|test|it)\b/.test(line)) return;
    const indent = line.length - line.trimStart().length;
    const closing = new RegExp(`^ {${indent}}\\}`);
    const length = lines.slice(i + 1).findIndex((text) => closing.test(text)) + 2;
    if (length > limit && length < 1000) found.push(`${i + 1}: ${length} lines`);
  });
  return found;
}
