// What both pages share. Whatever comes from files is put into the page as text, never as HTML.

export const $ = id => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'class') made.className = value;
    else if (name === 'data') Object.assign(made.dataset, value);
    else if (name.startsWith('aria-') || name === 'role' || name === 'for') made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** A name from a file: set apart, so that it turns the direction of no text but its own. */
export const name = text => element('bdi', {}, String(text));

export class Refused extends Error {
  constructor(told) {
    super([told.asked, told.expected && `expected ${told.expected}`, told.found && `found ${told.found}`, told.do]
      .filter(Boolean).join(' · '));
  }
}

export async function ask(path, content) {
  const how = content === undefined ? {} : {method: 'POST', body: content instanceof Blob ? content : JSON.stringify(content)};
  let answer;
  try { answer = await fetch(path, how); } catch { throw new Refused({asked: 'The studio does not answer', do: 'is miex studio still running?'}); }
  if (answer.ok) return answer;
  const told = await answer.json().then(found => found.error, () => ({asked: `The studio refused: ${answer.status}`}));
  throw new Refused(told);
}

export const still = matchMedia('(prefers-reduced-motion: reduce)');

/** Goes from frame to frame while it runs, and calls `show` with each. */
export class Flicker {
  constructor(show) { this.show = show; this.frames = 2; this.rate = 1.25; this.at = 0; this.running = false; }
  start() {
    if (this.running) return;
    this.running = true;
    this.since = performance.now();
    const step = now => {
      if (!this.running) return;
      if (now - this.since >= 1000 / (this.frames * this.rate)) {
        this.since = now;
        this.at = (this.at + 1) % this.frames;
        this.show(this.at);
      }
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }
  stop() { this.running = false; }
}

/** 128 + 10 (apex − onset), as the gallery of a set draws it. */
export function difference(onset, apex) {
  const drawn = new Uint8ClampedArray(onset.length);
  for (let i = 0; i < drawn.length; i++) drawn[i] = i % 4 === 3 ? 255 : 128 + 10 * (apex[i] - onset[i]);
  return drawn;
}

export function fill(range) {
  const share = (range.value - range.min) / (range.max - range.min);
  range.style.setProperty('--share', `${100 * share}%`);
}

export function save(content, file) {
  const link = element('a', {href: URL.createObjectURL(content), download: file});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export async function copy(text, button) {
  let done = true;
  try { await navigator.clipboard.writeText(text); } catch { done = false; }
  const before = button.textContent;
  button.textContent = done ? 'Copied' : 'Select it, and copy';
  setTimeout(() => { button.textContent = before; }, 1500);
}

const KEY = 'miex-theme';
function theme() {
  const button = $('theme'), names = {'': 'Light and dark', light: 'Light', dark: 'Dark'}, order = Object.keys(names);
  const use = chosen => {
    if (chosen) document.documentElement.dataset.theme = chosen; else delete document.documentElement.dataset.theme;
    localStorage.setItem(KEY, chosen);
    button.textContent = chosen ? names[chosen] : 'Auto';
    button.setAttribute('aria-label', `Colors: ${chosen ? names[chosen] : 'as the system has them'}. Change`);
  };
  use(order.includes(localStorage.getItem(KEY)) ? localStorage.getItem(KEY) : '');
  button.addEventListener('click', () => use(order[(order.indexOf(localStorage.getItem(KEY)) + 1) % order.length]));
}
theme();
