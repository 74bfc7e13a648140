// The run page moves by itself: events say that something happened, the server says what is so.

const page = document.getElementById("run");
const panel = document.getElementById("panel");
const content = document.getElementById("panel-content");
const heardLabel = document.getElementById("heard");
const address = `/dashboard/runs/${page.dataset.run}`;

const REFRESH_MS = 400;     // at most this often, however many events come
const LOOK_MS = 4000;       // a run under way is looked at even without events
const LOST_MS = 15_000;     // silence that long is worth a word

const moving = () => document.getElementById("moving");
const isFinal = () => moving().dataset.final === "1";
let heardAt = Date.now();
let wanted = false;
let busy = false;
let source = null;

// ---- the moving part
async function refresh() {
  if (busy) { wanted = true; return; }
  busy = true;
  wanted = false;
  const open = [...document.querySelectorAll("#live details[open]")].map((d) => d.id);
  const scrolled = document.querySelector(".graph")?.scrollLeft ?? 0;
  const wasFinal = isFinal();
  try {
    const answer = await fetch(`${address}/_live${location.search}`, { headers: { "HX-Request": "true" } });
    if (answer.redirected || answer.status === 403) { location.reload(); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    const live = document.getElementById("live");
    const focused = document.activeElement?.id;
    live.innerHTML = await answer.text();
    htmx.process(live);
    heardAt = Date.now();
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    const graph = document.querySelector(".graph");
    if (graph) graph.scrollLeft = scrolled;
    if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus({ preventScroll: true });
    settle();
    followPanel();
    // The findings and the controls of an ended run come with the whole page.
    if (isFinal() && !wasFinal) location.reload();
  } catch {
    showHeard();
  } finally {
    setTimeout(() => { busy = false; if (wanted) refresh(); }, REFRESH_MS);
  }
}

function settle() {
  // Breathing goes on where it was: a fresh node would otherwise begin anew each time.
  for (const animation of document.getAnimations()) animation.startTime = 0;
  mark(openStep());
  document.dispatchEvent(new CustomEvent("htmx:afterSettle", { detail: {} }));
  tick();
}

function listen() {
  if (isFinal()) { showHeard(); return; }
  const after = encodeURIComponent(moving().dataset.cursor);
  source = new EventSource(`/api/v1/runs/${page.dataset.run}/events?after=${after}`);
  for (const kind of ["step", "run", "approval"]) source.addEventListener(kind, () => { heardAt = Date.now(); refresh(); });
  source.addEventListener("end", () => { source.close(); refresh(); });
  source.addEventListener("open", () => { heardAt = Date.now(); showHeard(); });
  setInterval(() => { if (!isFinal() && !document.hidden) refresh(); }, LOOK_MS);
}
document.addEventListener("visibilitychange", () => { if (!document.hidden && !isFinal()) refresh(); });
addEventListener("pagehide", () => source?.close());

// ---- clocks
function words(seconds) {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

function showHeard() {
  const silent = Math.round((Date.now() - heardAt) / 1000);
  heardLabel.classList.toggle("lost", !isFinal() && silent * 1000 > LOST_MS);
  heardLabel.classList.toggle("on", !isFinal() && silent * 1000 <= LOST_MS);
  if (isFinal()) heardLabel.textContent = "Ended";
  else if (silent * 1000 > LOST_MS) heardLabel.textContent = `No word from the server for ${words(silent)}`;
  else heardLabel.textContent = silent < 2 ? "Live" : `Live, heard ${silent} s ago`;
}

function tick() {
  for (const element of document.querySelectorAll("[data-since]")) {
    element.textContent = words(Math.max((Date.now() - new Date(element.dataset.since)) / 1000, 0));
  }
  showHeard();
}
setInterval(tick, 1000);

// ---- the panel
const openStep = () => (panel.hidden ? "" : content.querySelector(".panel-body")?.dataset.step ?? "");

function mark(step) {
  for (const node of document.querySelectorAll(".node")) {
    const is = Boolean(step) && node.dataset.step === step;
    node.classList.toggle("selected", is);
    if (is) node.setAttribute("aria-current", "true"); else node.removeAttribute("aria-current");
  }
}

// The rest of the address says what the time line shows.
function showInAddress(step) {
  const asked = new URLSearchParams(location.search);
  if (step) asked.set("step", step); else asked.delete("step");
  const text = asked.toString();
  history.replaceState(null, "", text ? `?${text}` : location.pathname);
}

async function openPanel(step, { push = true } = {}) {
  panel.hidden = false;
  await htmx.ajax("GET", `${address}/steps/${step}`, { target: "#panel-content", swap: "innerHTML" });
  mark(openStep());
  document.querySelector(".node.selected")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  if (push) { showInAddress(openStep() || step); panel.focus({ preventScroll: true }); }
}

function closePanel() {
  const node = document.querySelector(".node.selected");
  panel.hidden = true;
  mark("");
  showInAddress("");
  node?.focus({ preventScroll: true });
}

// A panel that shows a step which moved on is read again.
function followPanel() {
  const body = content.querySelector(".panel-body");
  if (panel.hidden || !body) return;
  const node = document.querySelector(`.node[data-step="${body.dataset.step}"]`);
  if (node && node.dataset.state !== body.dataset.state) openPanel(body.dataset.step, { push: false });
}

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey) return;
  const link = event.target.closest("a[data-step]");
  if (link) { event.preventDefault(); openPanel(link.dataset.step); }
  const fork = event.target.closest("[data-fork-from]");
  if (fork) document.getElementById("fork-step").value = fork.dataset.forkFrom;
  if (event.target.closest(".panel-close")) closePanel();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !panel.hidden && !document.querySelector("dialog[open]")) closePanel();
});

// On a narrow screen the graph opens where something happens.
function showWhereItIs() {
  const graph = document.querySelector(".graph");
  const node = document.querySelector(".node.busy, .node.is-attention, .node.is-bad, .node.is-info");
  if (!graph || !node) return;
  const [outer, inner] = [graph.getBoundingClientRect(), node.getBoundingClientRect()];
  graph.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
}

settle();
showWhereItIs();
listen();
