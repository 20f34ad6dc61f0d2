import {$, Flicker, ask, copy, difference, element, fill, name, save, still} from '/studio.js';

const GAP = 12, CAPTION = 46, LEAST = 132;
const tiles = new Map();       // what is told of samples, by their place in the set
const drawn = new Map();       // the cells that are in the page, by their place in the choice
const on = {label: new Set(), emotion: new Set(), source: new Set(), au: new Set()};
let set, chosen = [], here = 0, seen = -1, marks = new Set(), key = '';

// ------------------------------------------------------------------------------------------------------ the query

const quoted = text => JSON.stringify(text);  // which is a literal of the query language, too

function built() {
  const parts = [];
  for (const facet of ['label', 'emotion', 'source'])
    if (on[facet].size) parts.push(`${facet} in [${[...on[facet]].map(quoted).join(', ')}]`);
  if ($('identity').value) parts.push(`identity == ${quoted($('identity').value)}`);
  for (const au of on.au) parts.push(`AU${au} >= ${+$('least').value}`);
  const [least, most] = ['motionLeast', 'motionMost'].map(id => $(id).value);
  if (least !== '') parts.push(`motion_p95_px >= ${+least}`);
  if (most !== '') parts.push(`motion_p95_px <= ${+most}`);
  return parts.join(' and ');
}

let asking = false, again = false;
async function choose() {
  if (asking) { again = true; return; }
  asking = true;
  do {
    again = false;
    $('markAll').disabled = true;  // until these are what was asked for
    try {
      const found = await (await ask('/api/set/rows', $('where').value)).json();
      chosen = found.rows;
      if ($('onlyMarked').checked) chosen = await onlyMarked(chosen);
      counts(found.facets);
      wrong('');
      here = 0;
      $('grid').scrollTop = 0;
      lay();
      const none = chosen.length ? '' : set.samples ? ': none meets this' : ': this set is empty';
      $('count').textContent = `${chosen.length.toLocaleString('en')} of ${set.samples.toLocaleString('en')} samples${none}`;
      $('markAll').disabled = !chosen.length;
    } catch (error) { wrong(error.message); }
  } while (again);
  asking = false;
  document.body.dataset.chosen = +(document.body.dataset.chosen || 0) + 1;
}

async function onlyMarked(places) {
  const missing = places.filter(place => !tiles.has(place));
  for (let i = 0; i < missing.length; i += 256) await tell(missing.slice(i, i + 256));
  return places.filter(place => marks.has(tiles.get(place).sample_id));
}

async function tell(places) {
  const told = await (await ask('/api/set/tiles', places)).json();
  places.forEach((place, i) => tiles.set(place, told[i]));
}

function filtered() {
  $('where').value = built();
  choose();
}

function counts(facets) {
  for (const [facet, values] of Object.entries(facets))
    for (const box of document.querySelectorAll(`#facets [data-facet=${facet}] input`))
      box.parentElement.querySelector('.count').textContent = (values[box.value] || 0).toLocaleString('en');
}

function wrong(text, where = 'wrong') {
  $(where).hidden = !text;
  $(where).textContent = text;
}

// what stands behind an open dialog is not seen
const wrongHere = error => wrong(error.message, $('sample').open ? 'wrongSample' : 'wrong');

// ------------------------------------------------------------------------- the grid: only what is seen is in the page

let columns = 1, laid = 0, cell = LEAST, rowHeight = LEAST + CAPTION;

function lay() {
  const width = laid = $('all').clientWidth;
  columns = Math.max(2, Math.floor((width + GAP) / (LEAST + GAP)));
  cell = (width - GAP * (columns - 1)) / columns;
  rowHeight = cell + CAPTION + GAP;
  $('all').style.height = `${Math.ceil(chosen.length / columns) * rowHeight}px`;
  for (const box of drawn.values()) box.remove();
  drawn.clear();
  draw();
}

function draw() {
  const grid = $('grid'), first = Math.max(0, Math.floor(grid.scrollTop / rowHeight) - 1);
  const last = Math.ceil((grid.scrollTop + grid.clientHeight) / rowHeight) + 1;
  const from = first * columns, to = Math.min(chosen.length, last * columns);
  for (const [i, box] of drawn) if (i < from || i >= to) { box.remove(); drawn.delete(i); }
  const missing = [];
  for (let i = from; i < to; i++) {
    if (!drawn.has(i)) { const box = made(i); drawn.set(i, box); $('all').append(box); }
    if (!tiles.has(chosen[i])) missing.push(chosen[i]);
  }
  if (missing.length) later(missing);
  point();
}

let waiting;
function later(missing) {  // who scrolls past asks for nothing
  clearTimeout(waiting);
  waiting = setTimeout(async () => {
    try {
      for (let i = 0; i < missing.length; i += 256) await tell(missing.slice(i, i + 256));
      for (const [i, box] of drawn) caption(i, box);
      point();
    } catch (error) { wrong(error.message); }
  }, 60);
}

function made(i) {
  const picture = element('span', {class: 'picture'}), text = element('span', {class: 'caption'});
  const box = element('div', {class: 'tile', id: `tile-${i}`, role: 'option', data: {i, place: chosen[i]},
    'aria-setsize': chosen.length, 'aria-posinset': i + 1}, picture, text);
  box.style.width = `${cell}px`;
  box.style.transform = `translate(${(i % columns) * (cell + GAP)}px, ${Math.floor(i / columns) * rowHeight}px)`;
  picture.style.height = `${cell}px`;
  setTimeout(() => { if (box.isConnected) picture.style.backgroundImage = `url(/api/set/strip/${chosen[i]})`; }, 40);
  box.addEventListener('click', event => { here = i; point(); if (event.shiftKey) mark(chosen[i]); else open(); });
  box.addEventListener('pointerenter', () => flick(box));
  box.addEventListener('pointerleave', () => flick(null));
  caption(i, box);
  return box;
}

function caption(i, box) {
  const told = tiles.get(chosen[i]);
  if (!told) return;
  box.lastChild.replaceChildren(element('b', {class: `dot ${told.label}`}), name(told.emotion), element('small', {}, name(told.identity)));
  box.setAttribute('aria-label', `${told.label}, ${told.emotion}, ${told.identity}`);
  box.classList.toggle('marked', marks.has(told.sample_id));
  box.setAttribute('aria-selected', marks.has(told.sample_id));
}

let flickering = null;
const small = new Flicker(at => { if (flickering) flickering.classList.toggle('apex', at === 1); });
small.rate = 1.5;
function flick(box) {
  if (flickering) flickering.classList.remove('apex');
  flickering = box;
  if (box && !still.matches) small.start(); else small.stop();
  if (box && still.matches) box.classList.add('apex');  // at rest: the apex, without a flicker
}

function point() {
  for (const [i, box] of drawn) box.classList.toggle('here', i === here);
  if (drawn.has(here)) $('grid').setAttribute('aria-activedescendant', `tile-${here}`);
  else $('grid').removeAttribute('aria-activedescendant');
}

function go(to) {
  if (!chosen.length) return;
  here = Math.min(chosen.length - 1, Math.max(0, to));
  const grid = $('grid'), top = Math.floor(here / columns) * rowHeight;
  if (top < grid.scrollTop) grid.scrollTop = top;
  else if (top + rowHeight > grid.scrollTop + grid.clientHeight) grid.scrollTop = top + rowHeight - grid.clientHeight;
  draw();
  flick(drawn.get(here) || null);
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const page = columns * Math.max(1, Math.floor($('grid').clientHeight / rowHeight));
  const steps = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: page, PageUp: -page};
  if (event.key in steps) go(here + steps[event.key]);
  else if (event.key === 'Home') go(0);
  else if (event.key === 'End') go(chosen.length - 1);
  else if (event.key === 'Enter') open();
  else if (event.key === 'm') mark(chosen[here]);
  else return;
  event.preventDefault();
}

// ---------------------------------------------------------------------------------------------------------- marks

function stored() {
  try { return new Set(JSON.parse(localStorage.getItem(key) || '[]')); } catch { return new Set(); }
}

function change(edit) {  // what is stored now: other pages of this set mark, too
  marks = stored();
  edit();
  localStorage.setItem(key, JSON.stringify([...marks]));
  showMarks();
}

function showMarks() {
  $('marked').textContent = marks.size ? `${marks.size.toLocaleString('en')} marked` : '';
  $('export').disabled = $('clear').disabled = !marks.size;
  for (const [i, box] of drawn) caption(i, box);
  pressed();
}

async function mark(place) {
  if (place === undefined) return;
  try {
    if (!tiles.has(place)) await tell([place]);
    const id = tiles.get(place).sample_id;
    change(() => { if (!marks.delete(id)) marks.add(id); });
  } catch (error) { wrongHere(error); }
}

function pressed() {
  const on = marks.has($('sampleId').textContent);
  $('mark').setAttribute('aria-pressed', on);
  $('mark').textContent = on ? 'Marked' : 'Mark';
}

async function markAll() {
  const these = chosen, missing = these.filter(place => !tiles.has(place));
  for (let i = 0; i < missing.length; i += 256) await tell(missing.slice(i, i + 256));
  change(() => { for (const place of these) marks.add(tiles.get(place).sample_id); });
}

// ----------------------------------------------------------------------------------------------------- one sample

const view = $('view'), pen = view.getContext('2d', {willReadFrequently: true});
let frames = [], apex = 1, wanted = 0;
const player = new Flicker(() => paint());
const mode = () => document.querySelector('#show input:checked').value;

function paint() {
  if (!frames.length) return;
  const at = {onset: 0, apex, play: player.at % frames.length}[mode()];
  const size = frames[0].width;
  if (view.width !== size) view.width = view.height = size;
  pen.putImageData(at === undefined ? new ImageData(difference(frames[0].data, frames[apex].data), size) : frames[at], 0, 0);
  view.dataset.frame = at === undefined ? 'difference' : at;
  $('phase').textContent = at === undefined ? '' : at === 0 ? 'onset' : at === apex ? 'apex' : `frame ${at}`;
}

function play() {
  player.frames = Math.max(2, frames.length);
  if (mode() === 'play') player.start(); else player.stop();
  paint();
}

async function pixels(place, k) {
  const bitmap = await createImageBitmap(await (await ask(`/api/set/frame/${place}/${k}`)).blob());
  const canvas = element('canvas', {width: bitmap.width, height: bitmap.height}), ink = canvas.getContext('2d', {willReadFrequently: true});
  ink.drawImage(bitmap, 0, 0);
  return ink.getImageData(0, 0, bitmap.width, bitmap.height);
}

async function open() {
  if (!chosen.length) return;
  const place = chosen[here], mine = ++wanted;
  try {
    const told = await (await ask(`/api/set/sample/${place}`)).json();
    const all = await Promise.all(Array.from({length: told.frames}, (_, k) => pixels(place, k)));
    if (mine !== wanted) return;  // somebody went on
    frames = all;
    apex = told.apex;
    describe(told);
    if (!$('sample').open) $('sample').showModal();
    play();
    $('sample').dataset.place = seen = place;
    wrong('', 'wrongSample');
  } catch (error) { if (mine === wanted) wrongHere(error); }
}

const number = value => typeof value === 'number' ? Number.isInteger(value) ? String(value) : String(+value.toPrecision(4)) : value;
function shown(value) {
  if (value === null) return '–';
  if (typeof value === 'object') return JSON.stringify(value, (_, one) => typeof one === 'number' ? +one.toPrecision(4) : one);
  return String(number(value));
}
const NAMES = {motion_mean_px: 'motion, mean, pixels', motion_p95_px: 'motion, 95th percentile, pixels',
  motion_mean_iod: 'mean, distances of the eyes', motion_p95_iod: '95th percentile, distances of the eyes',
  motion_from: 'motion seen in', psnr: 'PSNR, dB', ssim: 'SSIM'};
const list = values => Object.entries(values).flatMap(([term, value]) => [element('dt', {}, NAMES[term] || term.replaceAll('_', ' ')), element('dd', {}, name(shown(value)))]);

function describe(told) {
  $('sampleId').textContent = told.sample_id;
  $('lead').replaceChildren(element('b', {class: `dot ${told.label}`}), `${told.label} · `, name(told.emotion), ` · ${told.source} · `, name(told.identity), ` · ${told.frames} frames, apex ${told.apex}`);
  const path = ([a, b]) => a === b ? a.toFixed(2) : `${a.toFixed(2)} → ${b.toFixed(2)}`;
  $('ausOf').replaceChildren(...told.aus.map(one => element('tr', {class: one.coded.some(Boolean) ? 'coded' : ''},
    element('th', {scope: 'row'}, String(one.au)), ...['coded', 'left', 'right'].map(side => element('td', {}, one[side].some(Boolean) ? path(one[side]) : '–')))));
  $('also').replaceChildren(...(told.also_seen.length ? told.also_seen : ['nothing else than the coded AUs']).map(text => element('li', {}, name(text))));
  $('measures').replaceChildren(...list(told.measures));
  $('provenance').replaceChildren(...list(told.provenance));
  pressed();
}

// ---------------------------------------------------------------------------------------------------------- begin

function facet(of, values) {
  const boxes = Object.keys(values).map(value => {
    const box = element('input', {type: 'checkbox', value});
    box.addEventListener('change', () => { if (box.checked) on[of].add(value); else on[of].delete(value); filtered(); });
    return element('label', {class: 'tick'}, box, element('span', {}, name(value)), element('span', {class: 'count'}));
  });
  return element('fieldset', {class: 'facet', data: {facet: of}}, element('legend', {}, of[0].toUpperCase() + of.slice(1)), ...boxes);
}

async function begin() {
  const about = await (await ask('/api/about')).json();
  set = about.set;
  if (!set) {
    document.querySelector('main').hidden = true;
    $('lonely').hidden = false;
    document.body.dataset.ready = '1';
    return;
  }
  key = `miex-marks-${set.digest}`;
  marks = stored();
  addEventListener('storage', event => {
    if (event.key !== key) return;
    marks = stored();
    showMarks();
  });
  $('name').textContent = set.name.split(/[\\/]/).filter(Boolean).pop() || set.name;
  $('name').title = set.name;
  $('toldSet').textContent = set.told;
  $('facets').append(...Object.entries(set.facets).map(([of, values]) => facet(of, values)));
  $('identities').append(...set.identities.map(value => element('option', {value})));
  const numbers = about.regions.flatMap(region => region.aus).sort((a, b) => a.au - b.au);
  $('aus').append(...numbers.map(({au, name: called}) => {
    const chip = element('button', {type: 'button', 'aria-pressed': 'false', title: called, 'aria-label': `AU ${au}, ${called}`, data: {au}}, String(au));
    chip.addEventListener('click', () => {
      if (!on.au.delete(au)) on.au.add(au);
      chip.setAttribute('aria-pressed', on.au.has(au));
      filtered();
    });
    return chip;
  }));
  $('motionMost').max = $('motionLeast').max = Math.ceil(set.most_motion);
  const least = () => { $('leastTold').textContent = (+$('least').value).toFixed(2); fill($('least')); };
  $('least').addEventListener('input', () => { least(); if (on.au.size) filtered(); });
  for (const id of ['identity', 'motionLeast', 'motionMost']) $(id).addEventListener('change', filtered);
  $('onlyMarked').addEventListener('change', choose);
  $('reset').addEventListener('click', () => {
    for (const values of Object.values(on)) values.clear();
    for (const box of document.querySelectorAll('.filters input[type=checkbox]')) box.checked = false;
    for (const chip of $('aus').children) chip.setAttribute('aria-pressed', 'false');
    for (const id of ['identity', 'motionLeast', 'motionMost']) $(id).value = '';
    filtered();
  });
  $('ask').addEventListener('submit', event => { event.preventDefault(); choose(); });
  $('copyWhere').addEventListener('click', () => copy($('where').value, $('copyWhere')));
  $('grid').addEventListener('scroll', draw, {passive: true});
  $('grid').addEventListener('keydown', keys);
  $('grid').addEventListener('focus', () => go(here));
  $('grid').addEventListener('blur', () => flick(null));
  // a tile under the pointer stays where only the height changes
  new ResizeObserver(() => { if ($('all').clientWidth === laid) draw(); else lay(); }).observe($('grid'));
  $('markAll').addEventListener('click', () => markAll().catch(error => wrong(error.message)));
  $('clear').addEventListener('click', () => { change(() => marks.clear()); if ($('onlyMarked').checked) choose(); });
  $('export').addEventListener('click', () => {
    save(new Blob([[...marks].sort().join('\n') + '\n'], {type: 'text/plain'}), 'marked.txt');
    $('exported').hidden = false;
    $('exported').textContent = 'marked.txt: wherever a command takes --where, "sample_id in @marked.txt" takes these samples.';
  });
  $('mark').addEventListener('click', () => mark(seen));
  $('before').addEventListener('click', () => { go(here - 1); open(); });
  $('after').addEventListener('click', () => { go(here + 1); open(); });
  $('close').addEventListener('click', () => $('sample').close());
  $('sample').addEventListener('close', () => { wanted++; player.stop(); $('grid').focus(); });
  $('sample').addEventListener('click', event => { if (event.target === $('sample')) $('sample').close(); });
  $('sample').addEventListener('keydown', event => {
    if (event.target.matches('input')) return;
    if (event.key === 'ArrowRight') { go(here + 1); open(); } else if (event.key === 'ArrowLeft') { go(here - 1); open(); } else if (event.key === 'm') mark(seen);
  });
  $('show').addEventListener('change', play);
  const speed = () => { player.rate = +$('speed').value; $('rate').textContent = `${player.rate.toFixed(2)}/s`; fill($('speed')); };
  $('speed').addEventListener('input', speed);
  document.querySelector(`#show input[value=${still.matches ? 'apex' : 'play'}]`).checked = true;
  if (innerWidth < 900) $('filters').open = false;
  least();
  speed();
  showMarks();
  await choose();
  document.body.dataset.ready = '1';
}

begin().catch(error => wrong(error.message));
