/**
 * Drawings in a real browser: Debian's chromium, one for a test file, offline. Without it `path` is
 * undefined, and a line says what to install.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Page } from 'playwright-core';
import { temporaryDirectory } from './temp.ts';

/** What a page offers to the functions below that run in it. */
interface Element {
  readonly textContent: string | null;
  readonly outerHTML: string;
  readonly parentElement: Element | null;
  readonly id: string;
  readonly dataset: Readonly<Record<string, string | undefined>>;
  querySelector(selector: string): Element | null;
  getBoundingClientRect(): Omit<Placed, 'text'> & { width: number; height: number };
  getClientRects(): ArrayLike<unknown>;
}
declare const document: {
  readonly activeElement: Element;
  querySelector(selector: string): Element | null;
  querySelectorAll(selector: string): Iterable<Element>;
};
declare function getComputedStyle(element: Element): Readonly<Record<string, string>>;

const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const path = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((f) => existsSync(f));

if (path === undefined) {
  console.log('no browser: install Debian\'s chromium (apt-get install chromium); tests skipped');
}

/** A page of a new browser; its user data directory is a new one, which goes with it. */
export async function startBrowser(): Promise<Page> {
  const browser = await chromium.launch({ executablePath: path as string, args: ARGS });
  return browser.newPage({ offline: true });
}

export type Scheme = 'light' | 'dark';

export interface Opened {
  /** What the page said or asked for and should not have. */
  readonly complaints: readonly string[];
  /** Answers its next questions. */
  answer: string;
}

/** The drawing as a file that a reader opens. */
export async function opened(
  page: Page, text: string, colorScheme: Scheme = 'light', name = 'drawing.svg',
): Promise<Opened> {
  const file = join(temporaryDirectory(), name);
  writeFileSync(file, text);
  const url = pathToFileURL(file).href;
  const complaints: string[] = [];
  const seen: Opened = { complaints, answer: '' };
  page.removeAllListeners();
  await page.emulateMedia({ colorScheme });
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (request.url() !== url) complaints.push(`asks for ${request.url()}`);
  });
  page.on('dialog', (dialog) => dialog.accept(seen.answer));
  await page.goto(url);
  return seen;
}

export interface Painted {
  readonly text: string;
  /** WCAG contrast, 1 to 21, of text or mark and what is behind it. */
  readonly contrast: number;
}

/**
 * Contrast of each element with what is behind: `over` names the rect beside it in its group, or
 * null for the ground alone. Fills that are half transparent are mixed with the ground.
 */
export function contrasts(page: Page, selector: string, over: string | null): Promise<Painted[]> {
  return page.evaluate(([wanted, beside]) => {
    type Colour = readonly [number, number, number];
    const channels = (css: string) => (css.match(/[\d.]+/g) ?? []).map(Number);
    const under = document.querySelector('.ground') as Element;
    const ground = channels(getComputedStyle(under).fill ?? '');
    const fillOf = (element: Element): Colour => {
      const { fill, fillOpacity, opacity } = getComputedStyle(element);
      const group = getComputedStyle(element.parentElement as Element).opacity;
      const share = Number(fillOpacity) * Number(opacity) * Number(group);
      const mixed = channels(fill ?? '').slice(0, 3)
        .map((c, i) => c * share + (ground[i] ?? 0) * (1 - share));
      return [mixed[0] ?? 0, mixed[1] ?? 0, mixed[2] ?? 0];
    };
    const light = (colour: Colour) => {
      const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92
        : ((c / 255 + 0.055) / 1.055) ** 2.4)) as [number, number, number];
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    return [...document.querySelectorAll(wanted as string)]
      .filter((element) => element.getClientRects().length > 0)
      .map((element) => {
        const behind = beside === null ? under : element.parentElement?.querySelector(beside);
        const [a, b] = [light(fillOf(element)), light(fillOf(behind as Element))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        return { text: element.textContent || element.outerHTML, contrast };
      });
  }, [selector, over] as const);
}

export interface Placed {
  readonly text: string;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Where elements are drawn, in the units of the drawing; those that are shown. */
export function places(page: Page, selector: string): Promise<Placed[]> {
  return page.evaluate((wanted) => [...document.querySelectorAll(wanted)]
    .filter((element) => getComputedStyle(element).visibility === 'visible')
    .map((element) => ({ text: element.textContent || element.outerHTML,
      box: element.getBoundingClientRect() }))
    .filter(({ box }) => box.width > 0 && box.height > 0)
    .map(({ text, box: { left, top, right, bottom } }) => ({ text, left, top, right, bottom })),
  selector);
}

/** Texts that lie on each other by more than a pixel across and a third of a line down. */
export function collisions(texts: readonly Placed[]): string[] {
  return texts.flatMap((a, i) => texts.slice(i + 1).filter((b) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 5)
    .map((b) => `${a.text} | ${b.text}`));
}

/** What lies outside of the drawing. */
export async function outside(page: Page, selector: string): Promise<string[]> {
  const [view] = await places(page, 'svg');
  if (view === undefined) return ['no drawing'];
  return (await places(page, selector)).filter(({ left, top, right, bottom }) =>
    left < view.left || top < view.top || right > view.right || bottom > view.bottom)
    .map(({ text }) => text);
}

/** A style of the first element that matches, as the browser computes it. */
export function styleOf(page: Page, selector: string, property: string): Promise<string> {
  return page.evaluate(([wanted, name]) =>
    getComputedStyle(document.querySelector(wanted) as Element)[name] ?? '',
  [selector, property] as const);
}

/** Left edge and width of the first element that matches, whole pixels. */
export async function spanOf(page: Page, selector: string): Promise<[number, number]> {
  const [box] = await places(page, selector);
  return box === undefined ? [0, 0]
    : [Math.round(box.left), Math.round(box.right) - Math.round(box.left)];
}

/** Name of the frame, or id of the control, that has the focus. */
export function focused(page: Page): Promise<string> {
  return page.evaluate(() => document.activeElement.dataset.n ?? document.activeElement.id);
}

/** Texts of frames that stand out of their rects. */
export function overlong(page: Page): Promise<string[]> {
  return page.evaluate(() => [...document.querySelectorAll('.f')].filter((frame) => {
    const rect = frame.querySelector('rect')?.getBoundingClientRect();
    const text = frame.querySelector('text')?.getBoundingClientRect();
    return !text || !rect || (text.width > 0 && text.right > rect.right);
  }).map(({ textContent }) => textContent ?? ''));
}
