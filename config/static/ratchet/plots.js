// Plots: documents in the page become Plotly charts in the page's own colours. The library is
// fetched only where there is a plot; until then the figure keeps its height.

const SCRIPT = new URL("../plotly/plotly.min.js", import.meta.url).href;
const drawn = new Map();
let library;

function load() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = SCRIPT;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { library = undefined; reject(new Error("the plot library did not load")); };
    document.head.append(script);
  });
  return library;
}

// ---- colours: resolved by the browser, so that light-dark() counts
function colours() {
  const probe = document.createElement("span");
  document.body.append(probe);
  const read = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
  const found = Object.fromEntries(["ink", "ink-2", "ink-3", "line", "line-2", "accent", "bad",
    "attention", "info", "good", "surface", "paper"].map((name) => [name, read(name)]));
  probe.remove();
  return found;
}

const faded = (colour, alpha) => colour.replace(/^rgba?\(([^)]+)\)$/, (_, parts) =>
  `rgba(${parts.split(",").slice(0, 3).join(",")}, ${alpha})`);

// A series keeps its colour on every page.
const SERIES = ["accent", "info", "attention", "good"];
const NAMED = { "accuracy": "accent", "from the cache": "info", "satisfaction": "good", "p95": "accent",
  "abandoned": "bad", "handed over": "attention", "turns": "info", "learning": "info" };

// ---- numbers as people read them
function said(value, unit) {
  if (value === null || value === undefined) return "–";
  const three = (number) => Number(number.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 9 });
  if (unit === "s") return value < 1 ? `${three(value * 1000)} ms` : value < 60 ? `${three(value)} s` : value < 3600 ? `${three(value / 60)} min` : `${three(value / 3600)} h`;
  if (unit === "USD") return `$${three(value)}`;
  if (unit === "ratio") return `${three(value * 100)} %`;
  return Math.abs(value) >= 10000 ? `${three(value / 1000)} k` : three(value);
}

// A time on an axis: whole units, "1 min 30 s", never "1.5 min".
function clock(seconds) {
  if (seconds === 0) return "0";
  if (seconds < 60) return said(seconds, "s");
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let rest = Math.round(seconds);
  const found = [];
  for (const [name, size] of parts) { const n = Math.floor(rest / size); if (n) found.push(`${n} ${name}`); rest -= n * size; }
  return found.slice(0, 2).join(" ");
}
const CLOCK = [10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

const ends = (values) => { for (let n = values.length - 1; n >= 0; n--) if (values[n] !== null) return n; return -1; };

function label(x, y, text, colour, shift = 0) {
  return { x, y, text, xanchor: "left", yanchor: "middle", xshift: 6, yshift: shift, showarrow: false,
    font: { color: colour, size: 12 } };
}

function traces(doc, c) {
  const hover = (values, name, unit) => ({ textposition: "none", text: values.map((v) => said(v, unit)), hovertemplate: `%{text} ${name}<extra></extra>` });
  const notes = [];
  if (doc.kind === "bars") {
    const list = [{ type: "bar", x: doc.x, y: doc.values, marker: { color: faded(c.accent, 0.72) },
      ...hover(doc.values, "", doc.unit), offset: 0, width: doc.step_seconds * 860 }];
    if (doc.bad.some((v) => v)) list.push({ type: "bar", x: doc.x, y: doc.bad, marker: { color: c.bad },
      ...hover(doc.bad, doc.bad_words, doc.unit), offset: 0, width: doc.step_seconds * 860 });
    return { list, notes };
  }
  const told = (values, name) => ({ ...hover(values, name, doc.unit), textposition: "top center" });
  const line = (values, colour, name, extra = {}) => ({ type: "scatter", mode: "lines", x: doc.x, y: values,
    line: { color: colour, width: 2 }, connectgaps: false, ...told(values, name), ...extra });
  const alone = (values, colour, name) => ({ type: "scatter", mode: "markers", x: doc.x,
    y: values.map((v, n) => (v !== null && (values[n - 1] ?? null) === null && (values[n + 1] ?? null) === null ? v : null)),
    marker: { color: colour, size: 6 }, ...told(values, name) });
  const list = [];
  if (doc.kind === "band") {
    for (const [from, to] of stretches(doc.p50)) {
      const part = (values) => values.slice(from, to + 1);
      list.push({ type: "scatter", mode: "lines", x: [...part(doc.x), ...part(doc.x).reverse()],
        y: [...part(doc.p95), ...part(doc.p50).reverse()], fill: "toself", line: { width: 0 },
        fillcolor: faded(c.accent, 0.18), hoverinfo: "skip" });
    }
    list.push(line(doc.p95, faded(c.accent, 0.5), "p95", { line: { color: faded(c.accent, 0.55), width: 1 } }));
    list.push(line(doc.p50, c.accent, "p50"), alone(doc.p95, faded(c.accent, 0.5), "p95"), alone(doc.p50, c.accent, "p50"));
    const at = ends(doc.p50);
    if (at >= 0) notes.push(label(doc.x[at], doc.p50[at], "p50", c.ink), label(doc.x[at], doc.p95[at], "p95", c["ink-2"], doc.p95[at] === doc.p50[at] ? 14 : 0));
  } else {
    doc.series.forEach((one, n) => {
      const colour = c[NAMED[one.name] ?? SERIES[n % SERIES.length]];
      list.push(line(one.values, colour, one.name), alone(one.values, colour, one.name));
      const at = ends(one.values);
      if (at >= 0) notes.push(label(doc.x[at], one.values[at], one.name, c["ink-2"]));
    });
  }
  return { list, notes: apart(notes, [...list.flatMap((one) => one.y)]) };
}

// Labels at the ends of lines that lie close together are moved apart.
function apart(notes, values) {
  const known = values.filter((v) => v !== null);
  const span = Math.max(...known) - Math.min(0, ...known) || 1;
  const sorted = [...notes].sort((a, b) => a.y - b.y);
  for (let n = 1; n < sorted.length; n++) {
    const gap = (sorted[n].y - sorted[n - 1].y) / span * 150 + sorted[n].yshift - sorted[n - 1].yshift;
    if (gap < 14) sorted[n].yshift += 14 - gap;
  }
  return notes;
}

function stretches(values) {
  const found = [];
  values.forEach((value, n) => {
    if (value === null) return;
    if (n && values[n - 1] !== null) found[found.length - 1][1] = n; else found.push([n, n]);
  });
  return found.filter(([from, to]) => to > from);
}

const TONES = { deployment: "accent", experiment: "info", rollback: "attention", incident: "bad" };
const SIGNS = { deployment: "▲", experiment: "◆", rollback: "◀", incident: "●" };

// The times in which an incident lasts, each once: ten that overlap are no darker than one.
function lasting(marks, last) {
  const time = (at) => new Date(at).getTime();
  const found = [];
  for (const one of marks.filter(({ kind }) => kind === "incident").sort((a, b) => time(a.at) - time(b.at))) {
    const until = Math.min(one.until ? time(one.until) : last, last);
    const before = found.at(-1);
    if (before && time(one.at) <= before[1]) before[1] = Math.max(before[1], until); else found.push([time(one.at), until]);
  }
  return found.map((span) => span.map((at) => new Date(at).toISOString()));
}

// A baseline's words stand at the end where the lines are further from it.
function clearer(doc, list) {
  const half = Math.floor(doc.x.length / 2);
  const near = (part) => Math.min(Infinity, ...list.flatMap((one) => (one.x.length === doc.x.length ? part(one.y) : []))
    .filter((v) => v !== null).map((v) => Math.abs(v - doc.baseline)));
  return near((y) => y.slice(0, half)) >= near((y) => y.slice(half)) ? "left" : "right";
}

function marked(doc, c, list) {
  const shapes = [], notes = [];
  const last = new Date(doc.x.at(-1)).getTime() + doc.step_seconds * 1000;
  for (const [x0, x1] of lasting(doc.marks, last)) shapes.push({ type: "rect", xref: "x", yref: "paper", x0, x1,
    y0: 0, y1: 1, fillcolor: faded(c.bad, 0.1), line: { width: 0 }, layer: "below" });
  for (const one of doc.marks) {
    const colour = c[TONES[one.kind] ?? "ink-3"];
    shapes.push({ type: "line", xref: "x", yref: "paper", x0: one.at, x1: one.at, y0: 0, y1: 1, line: { color: faded(colour, 0.7), width: 1 } });
    notes.push({ x: one.at, y: 1, yref: "paper", yanchor: "bottom", text: SIGNS[one.kind] ?? "▲", showarrow: false,
      font: { color: colour, size: 11 }, hovertext: `${one.kind}: ${one.text}`, captureevents: true, ratchet: one.href });
  }
  if (doc.baseline !== null && doc.baseline !== undefined) {
    shapes.push({ type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: doc.baseline, y1: doc.baseline, line: { color: c["ink-3"], width: 1, dash: "dash" } });
    const side = clearer(doc, list);
    notes.push({ x: side === "left" ? 0 : 1, xref: "paper", y: doc.baseline, yanchor: "bottom", xanchor: side, bgcolor: faded(c.paper, 0.8), borderpad: 1, text: `${doc.baseline_words} ${said(doc.baseline, doc.unit)}`,
      showarrow: false, font: { color: c["ink-3"], size: 11 } });
  }
  return { shapes, notes };
}

function ticks(doc, list) {
  const known = list.flatMap((one) => one.y).filter((v) => v !== null);
  if (doc.baseline) known.push(doc.baseline);
  const top = Math.max(...known, 0), bottom = Math.min(...known, 0);
  const rough = (top - bottom || 1) / 3, unit = 10 ** Math.floor(Math.log10(rough));
  const steps = doc.unit === "s" && rough > 5 && rough <= 86400 ? CLOCK : [1, 2, 5, 10].map((n) => n * unit);
  const step = steps.find((n) => n >= rough) ?? rough;
  const at = [];
  for (let n = Math.ceil(bottom / step); n * step <= top * 1.02 + 1e-12; n++) at.push(n * step);
  return { tickvals: at, ticktext: at.map((v) => (doc.unit === "s" ? clock(v) : said(v, doc.unit))), range: [bottom, top * 1.12 || 1] };
}

async function draw(figure) {
  const Plotly = await load();
  const doc = JSON.parse(figure.querySelector("script").textContent);
  const area = figure.querySelector(".plot-area");
  const c = colours();
  const { list, notes } = traces(doc, c);
  const { shapes, notes: more } = marked(doc, c, list);
  const right = notes.length ? Math.max(36, ...notes.map((one) => one.text.length * 7 + 10)) : 8;
  await Plotly.react(area, list, {
    height: 200, margin: { l: 56, r: right, t: 18, b: 30 }, barmode: "overlay", showlegend: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", shapes, annotations: [...notes, ...more],
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: c["ink-2"] },
    hovermode: "x unified", hoverlabel: { bgcolor: c.surface, bordercolor: c["line-2"], font: { color: c.ink, size: 12 } },
    xaxis: { type: "date", showgrid: false, linecolor: c["line-2"], tickcolor: c["line-2"], ticks: "outside", nticks: 6, fixedrange: true,
      tickformat: doc.step_seconds < 10000 ? "%H:%M" : "%-d %b", hoverformat: doc.step_seconds < 86400 ? "%-d %b %H:%M" : "%a %-d %b %Y",
      range: [doc.x[0], new Date(new Date(doc.x.at(-1)).getTime() + doc.step_seconds * 1000).toISOString()] },
    yaxis: { gridcolor: c.line, zeroline: false, fixedrange: true, tickmode: "array", ...ticks(doc, list) },
  }, { displayModeBar: false });
  if (!drawn.has(figure)) {
    sized.observe(area);
    area.on("plotly_click", ({ points }) => follow(doc, points[0].x));
    area.on("plotly_clickannotation", ({ annotation }) => { if (annotation.ratchet) location.href = annotation.ratchet; });
  }
  drawn.set(figure, doc);
  figure.dataset.drawn = "";
}

// A plot is as wide as its place, also where that changed while the plot was being drawn.
const sized = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const width = target._fullLayout?.width;
    if (contentRect.width && width && Math.abs(width - contentRect.width) >= 1) window.Plotly.Plots.resize(target);
  }
});

// A point leads to the rows behind it.
function follow(doc, x) {
  if (!doc.rows) return;
  const at = new Date(`${x}`.replace(" ", "T").replace(/(\d)$/, "$1Z").replace(/^(\d{4}-\d\d-\d\d)Z$/, "$1T00:00Z").replace(/T(\d\d:\d\d)Z$/, "T$1:00Z"));
  const from = new Date(Math.max(...doc.x.map((one) => new Date(one).getTime()).filter((one) => one <= at.getTime())));
  const url = new URL(doc.rows, location.href);
  url.searchParams.delete("range");
  url.searchParams.set("since", from.toISOString());
  url.searchParams.set("until", new Date(from.getTime() + doc.step_seconds * 1000).toISOString());
  location.href = url.href;
}

// ---- the same as a table, for those who read or copy numbers
function fill(details) {
  if (details.querySelector("table")) return;
  const doc = JSON.parse(details.closest("figure").querySelector("script").textContent);
  const columns = doc.kind === "band" ? [["p50", doc.p50], ["p95", doc.p95], ["count", doc.counts]]
    : doc.kind === "bars" ? [["value", doc.values], ...(doc.bad.length ? [[doc.bad_words, doc.bad]] : [])]
    : doc.series.map((one) => [one.name, one.values]);
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of ["from", ...columns.map(([one]) => one)]) {
    const cell = document.createElement("th");
    cell.textContent = name; cell.scope = "col"; head.append(cell);
  }
  const body = table.createTBody();
  doc.x.forEach((x, n) => {
    const row = body.insertRow();
    row.insertCell().textContent = new Date(x).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" });
    for (const [name, values] of columns) row.insertCell().textContent = name === "count" ? values[n] : said(values[n], doc.unit);
  });
  const wrap = document.createElement("div");
  wrap.className = "table-wrap tall"; wrap.tabIndex = 0; wrap.append(table);
  details.append(wrap);
}

// Each is drawn when it comes near the screen.
const near = new IntersectionObserver((entries) => {
  for (const one of entries) if (one.isIntersecting) { near.unobserve(one.target); draw(one.target).catch(failed(one.target)); }
}, { rootMargin: "300px" });

const failed = (figure) => (error) => { figure.querySelector(".plot-area").textContent = `No plot: ${error.message}`; };

function watch(scope) {
  for (const figure of scope.querySelectorAll("figure.plot:not([data-watched])")) {
    figure.dataset.watched = "";
    figure.querySelector("details")?.addEventListener("toggle", (event) => { if (event.target.open) fill(event.target); });
    // What replaces a drawn plot is drawn at once, so that a page that moves does not blink.
    if (window.Plotly && figure.getBoundingClientRect().top < innerHeight * 1.5) draw(figure).catch(failed(figure));
    else near.observe(figure);
  }
  for (const figure of drawn.keys()) {
    if (figure.isConnected) continue;
    const area = figure.querySelector(".plot-area");
    sized.unobserve(area); window.Plotly.purge(area); drawn.delete(figure);
  }
}

watch(document);
document.addEventListener("htmx:afterSettle", (event) => watch(event.target.parentNode ?? document));
const again = () => { for (const figure of drawn.keys()) draw(figure).catch(failed(figure)); };
new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
