import {$, Flicker, Refused, ask, copy, difference, element, fill, save, still} from '/studio.js';

const view = $('view'), pen = view.getContext('2d', {willReadFrequently: true});
const state = {face: '', aus: new Map(), linked: new Map(), way: 0, emotion: '', draw: 0, size: 256};
const rows = new Map();
let about, shown = {}, held = 0;

// ---------------------------------------------------------------------------------------------- what is asked for

const number = value => Math.min(1, Math.max(0, Math.round(1000 * value) / 1000)) || 0;

function asked() {
  const aus = {};
  for (const [au, [left, right]] of state.aus) if (left || right) aus[au] = [left, right];
  const seed = Math.floor(Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, $('seed').value || 0)));
  return {aus, way: state.way, nuisances: $('nuisances').value, seed, arrows: $('field').checked};
}

// Of what is asked for again before its answer comes, only the last answer counts.
const turns = {photo: 0, preset: 0, read: 0};
function turn(of) {
  const mine = ++turns[of];
  return () => mine === turns[of];
}

// One request at a time; of those that come meanwhile only the last is made.
let busy = false, waiting = false;
async function update() {
  if (busy) { waiting = true; return; }
  busy = true;
  do {
    waiting = false;
    unread();
    try {
      const answer = await ask(`/api/move?face=${encodeURIComponent(state.face)}`, asked());
      take(await answer.arrayBuffer());
      wrong('');
      stale(false);
    } catch (error) {
      wrong(error.message);
      stale(true);
    }
  } while (waiting);
  busy = false;
  document.documentElement.dataset.drawn = +(document.documentElement.dataset.drawn || 0) + 1;
  if (!document.body.classList.contains('stale')) read();
}

// After a refused move the pictures are those of another state: they are dimmed, and nothing of them is kept.
function stale(is) {
  document.body.classList.toggle('stale', is);
  for (const button of [$('save'), ...document.querySelectorAll('[data-copies]')]) button.disabled = is;
  if (is) for (const id of ['command', 'python', 'told']) $(id).textContent = '';
}

function take(content) {
  const length = new DataView(content).getUint32(0, true);
  const told = JSON.parse(new TextDecoder().decode(new Uint8Array(content, 4, length)));
  const size = told.size, bytes = 4 * size * size, start = 4 + length;
  if (view.width !== size) view.width = view.height = size;
  const onset = new Uint8ClampedArray(content, start, bytes), apex = new Uint8ClampedArray(content, start + bytes, bytes);
  shown = {size, onset, apex, arrows: new Float32Array(content, start + 2 * bytes)};
  paint();
  arrows();
  const times = +$('arrows').dataset.times;
  $('command').textContent = told.command;
  $('python').textContent = told.python;
  const motion = told.motion === null ? 'The generator knows no motion, only pictures.'
    : told.motion ? `Motion ${told.motion.toFixed(2)} px (95th percentile over the face, at ${size} px)` : 'Nothing moves.';
  const all = +$('arrows').dataset.n ? `${motion}; arrows ${times} × as long` : motion;
  if ($('told').textContent !== all) $('told').textContent = all;
}

// -------------------------------------------------------------------------------------------------------- drawing

const flicker = new Flicker(() => paint());
const mode = () => document.querySelector('#show input:checked').value;

function paint() {
  if (!shown.onset) return;
  // who moves a slider sees what it does: the apex, while it is moved
  const now = mode() !== 'flicker' ? mode() : performance.now() < held || flicker.at ? 'apex' : 'onset';
  const pixels = now === 'difference' ? difference(shown.onset, shown.apex) : shown[now];
  pen.putImageData(new ImageData(pixels, shown.size), 0, 0);
  view.dataset.frame = now;
  $('phase').textContent = now === 'difference' ? '' : now;
}

function arrows() {
  const over = $('arrows'), side = Math.round(over.clientWidth * devicePixelRatio), ink = over.getContext('2d');
  over.width = over.height = side;
  over.dataset.n = 0;
  if (!$('field').checked || !shown.arrows) return;
  const all = shown.arrows, k = side / shown.size, longest = Math.max(0.01, ...lengths(all));
  const times = [20, 10, 5, 2, 1].find(times => times * longest <= shown.size / 8) || 1;
  ink.strokeStyle = getComputedStyle(over).color;
  ink.lineWidth = 1.5 * devicePixelRatio;
  ink.lineCap = 'round';
  ink.beginPath();
  for (let i = 0; i < all.length; i += 4) {
    const x = (all[i] + 0.5) * k, y = (all[i + 1] + 0.5) * k, dx = all[i + 2] * times * k, dy = all[i + 3] * times * k;
    const head = Math.min(4 * devicePixelRatio, 0.4 * Math.hypot(dx, dy)), angle = Math.atan2(dy, dx);
    ink.moveTo(x, y);
    ink.lineTo(x + dx, y + dy);
    for (const turn of [2.6, -2.6]) {
      ink.moveTo(x + dx, y + dy);
      ink.lineTo(x + dx + head * Math.cos(angle + turn), y + dy + head * Math.sin(angle + turn));
    }
  }
  ink.stroke();
  over.dataset.n = all.length / 4;
  over.dataset.times = times;
}

function* lengths(all) { for (let i = 0; i < all.length; i += 4) yield Math.hypot(all[i + 2], all[i + 3]); }

function play() {
  if (mode() === 'flicker') flicker.start(); else flicker.stop();
  paint();
}

// -------------------------------------------------------------------------------------------------------- sliders

function slider(au, k, label) {
  const range = element('input', {type: 'range', min: 0, max: 1, step: 0.01, value: 0, 'aria-label': `${label}, intensity`});
  const typed = element('input', {type: 'number', min: 0, max: 1, step: 0.01, value: 0, inputMode: 'decimal', 'aria-label': `${label}, intensity as a number`});
  const side = element('span', {class: 'hand', 'aria-hidden': 'true'});
  range.addEventListener('input', () => set(au, k, +range.value, range));
  typed.addEventListener('input', () => {
    const {badInput, rangeUnderflow, rangeOverflow} = typed.validity;
    if (typed.value !== '' && !badInput && !rangeUnderflow && !rangeOverflow) set(au, k, +typed.value, typed);
  });
  typed.addEventListener('change', () => { set(au, k, +typed.value); });
  return {line: element('div', {class: 'line'}, side, range, typed), range, typed, side};
}

function set(au, k, value, by) {
  const pair = state.aus.get(au);
  if (state.linked.get(au)) pair[0] = pair[1] = number(value); else pair[k] = number(value);
  held = performance.now() + 700;
  show(au, by);
  update();
}

function show(au, by) {
  const {sides} = rows.get(au), linked = state.linked.get(au), pair = state.aus.get(au);
  sides.forEach(({line, range, typed, side}, k) => {
    line.hidden = linked && k === 1;
    side.textContent = linked ? '' : 'LR'[k];
    side.title = linked ? '' : ['the person’s left, at the right of the picture', 'the person’s right, at the left of the picture'][k];
    if (range !== by) range.value = pair[k];
    if (typed !== by) typed.value = Number.isInteger(Math.round(1e5 * pair[k]) / 1000) ? pair[k].toFixed(2) : pair[k];
    const label = linked ? rows.get(au).label : `${rows.get(au).label}, ${['left', 'right'][k]} side`;
    range.setAttribute('aria-label', `${label}, intensity`);
    typed.setAttribute('aria-label', `${label}, intensity as a number`);
    fill(range);
  });
  rows.get(au).row.classList.toggle('on', Boolean(pair[0] || pair[1]));
}

function row({au, name, sentence}) {
  const label = `AU ${au}, ${name}`, sides = [slider(au, 0, label), slider(au, 1, label)];
  const link = element('button', {type: 'button', class: 'link', 'aria-label': `AU ${au}: left and right move together`, title: 'Left and right together, or each by itself'}, 'L = R');
  link.setAttribute('aria-pressed', 'true');
  link.addEventListener('click', () => {
    const linked = !state.linked.get(au), pair = state.aus.get(au);
    state.linked.set(au, linked);
    link.setAttribute('aria-pressed', linked);
    if (linked) pair[1] = pair[0];
    show(au);
    update();
  });
  const made = element('div', {class: 'au', role: 'group', 'aria-label': label, data: {au}},
    element('p', {class: 'name'}, element('b', {}, `AU ${au}`), ` ${name}`), link,
    element('div', {class: 'hands'}, ...sides.map(one => one.line)), element('p', {class: 'sentence'}, sentence));
  state.aus.set(au, [0, 0]);
  state.linked.set(au, true);
  rows.set(au, {row: made, sides, link, label});
  return made;
}

function use(aus) {
  for (const [au, pair] of state.aus) {
    const [left, right] = (aus[au] || [0, 0]).map(number), sides = about.ways[state.way].sides;
    pair[0] = left;
    pair[1] = sides ? right : left;
    state.linked.set(au, pair[0] === pair[1]);
    rows.get(au).link.setAttribute('aria-pressed', pair[0] === pair[1]);
    show(au);
  }
  update();
}

async function preset(emotion) {
  state.draw = emotion === state.emotion ? state.draw + 1 : 0;
  state.emotion = emotion;
  $('again').disabled = false;
  for (const chip of $('emotions').children) chip.setAttribute('aria-pressed', chip.dataset.emotion === emotion);
  const isLast = turn('preset');
  try {
    const drawn = await (await ask(`/api/preset?emotion=${encodeURIComponent(emotion)}&seed=${state.draw}`)).json();
    if (isLast()) use(drawn.aus);
  } catch (error) { if (isLast()) wrong(error.message); }
}

// ---------------------------------------------------------------------------------------- photo, reading, messages

function wrong(text) {
  $('wrong').hidden = !text;
  $('wrong').textContent = text;
}

async function photo(file) {
  if (!file) return;
  const isLast = turn('photo');
  document.body.classList.add('busy');
  $('told').textContent = 'Looking for the face …';
  try {
    const found = await (await ask(`/api/photo?name=${encodeURIComponent(file.name)}`, file)).json();
    if (!isLast()) return;
    state.face = found.id;
    $('photo').textContent = $('photo').title = found.photo;
    $('nameOnly').hidden = false;
    await update();
  } catch (error) {
    if (!isLast()) return;
    wrong(error.message);
    $('told').textContent = '';
  }
  if (isLast()) document.body.classList.remove('busy');
}

// The reading is of the picture that is shown: it is dimmed until that was read.
let reading;
function unread() {
  turns.read++;
  clearTimeout(reading);
  $('read').setAttribute('aria-busy', 'true');
}

function read() {
  if (!about.reads) return;
  unread();
  const isLast = turn('read');
  reading = setTimeout(async () => {
    try {
      const told = await (await ask(`/api/read?face=${encodeURIComponent(state.face)}`, asked())).json();
      if (!isLast()) return;
      if (told.refused) throw new Refused(told.refused);
      const found = Object.entries(told.read);
      $('read').replaceChildren(...found.sort((a, b) => b[1] - a[1]).map(([label, p]) => element('p', {class: 'share'},
        element('span', {}, label), element('span', {}, p.toFixed(2)), element('meter', {min: 0, max: 1, value: p, 'aria-label': label}))));
      for (const meter of $('read').querySelectorAll('meter')) fill(meter);
    } catch (error) {
      if (!isLast()) return;
      $('read').textContent = error.message;
    }
    $('read').setAttribute('aria-busy', 'false');
  }, 400);
}

function ways() {
  const {sides} = about.ways[state.way];
  for (const [au, {link}] of rows) {
    link.disabled = !sides;
    if (!sides && !state.linked.get(au)) {
      state.aus.get(au)[1] = state.aus.get(au)[0];
      state.linked.set(au, true);
      link.setAttribute('aria-pressed', 'true');
    }
    show(au);
  }
}

async function begin() {
  $('told').textContent = 'Looking for the face …';
  document.body.classList.add('busy');
  about = await (await ask('/api/about')).json();
  $('toSet').hidden = !about.set;
  $('reading').hidden = !about.reads;
  $('sliders').append(...about.regions.map(region =>
    element('div', {class: 'region'}, element('h2', {}, region.name), ...region.aus.map(row))));
  $('emotions').append(...about.emotions.map(emotion => {
    const chip = element('button', {type: 'button', 'aria-pressed': 'false', data: {emotion}}, emotion);
    chip.addEventListener('click', () => preset(emotion));
    return chip;
  }));
  $('nuisances').append(...about.nuisances.map(level => element('option', {value: level}, level)));
  $('way').append(...about.ways.map((way, i) => element('option', {value: i}, way.name)));
  document.querySelector(`#show input[value=${still.matches ? 'apex' : 'flicker'}]`).checked = true;

  $('show').addEventListener('change', play);
  $('field').addEventListener('change', update);
  $('speed').addEventListener('input', speed);
  for (const id of ['nuisances', 'seed']) $(id).addEventListener('input', update);
  $('way').addEventListener('input', () => { state.way = +$('way').value; ways(); update(); });
  $('again').addEventListener('click', () => preset(state.emotion));
  $('rest').addEventListener('click', () => {
    state.emotion = '';
    turns.preset++;
    $('again').disabled = true;
    for (const chip of $('emotions').children) chip.setAttribute('aria-pressed', 'false');
    use({});
  });
  $('save').addEventListener('click', async () => {
    try { save(await (await ask(`/api/save?face=${encodeURIComponent(state.face)}`, asked())).blob(), 'pair.zip'); } catch (error) { wrong(error.message); }
  });
  for (const button of document.querySelectorAll('[data-copies]'))
    button.addEventListener('click', () => copy($(button.dataset.copies).textContent, button));
  $('choose').addEventListener('click', () => $('file').click());
  $('file').addEventListener('change', () => photo($('file').files[0]));
  for (const kind of ['dragenter', 'dragover', 'dragleave', 'drop']) {
    addEventListener(kind, event => {
      event.preventDefault();
      document.body.classList.toggle('dragged', kind === 'dragenter' || kind === 'dragover');
      if (kind === 'drop') photo(event.dataTransfer.files[0]);
    });
  }
  addEventListener('resize', arrows);
  speed();
  for (const au of rows.keys()) show(au);
  const first = await (await ask('/api/first')).json();
  if (!turns.photo) {
    state.face = first.id;
    $('photo').textContent = first.photo.split(/[\\/]/).pop();
    $('photo').title = first.photo;
  }
  play();
  await update();
  document.body.classList.remove('busy');
  document.body.dataset.ready = '1';
}

function speed() {
  flicker.rate = +$('speed').value;
  $('rate').textContent = `${flicker.rate.toFixed(2)}/s`;
  fill($('speed'));
}

begin().catch(error => wrong(error.message));
