// What every page does: theme, drawer, copy buttons, the reader's time zone, dialogs.

const root = document.documentElement;

function isDark() {
  if (root.dataset.theme) return root.dataset.theme === "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

function switchTheme() {
  root.dataset.theme = isDark() ? "light" : "dark";
  localStorage.setItem("ratchet-theme", root.dataset.theme);
}

function setDrawer(open) {
  document.body.classList.toggle("drawer-open", open);
  document.querySelector(".menu-button")?.setAttribute("aria-expanded", String(open));
  if (open) document.querySelector(".side a")?.focus();
}

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  button.classList.add("done");
  setTimeout(() => button.classList.remove("done"), 1200);
}

document.addEventListener("click", (event) => {
  const hit = (selector) => event.target.closest(selector);
  if (hit("[data-theme-switch]")) switchTheme();
  else if (hit(".menu-button")) setDrawer(!document.body.classList.contains("drawer-open"));
  else if (hit(".copy")) copy(hit(".copy"));
  else if (hit("[data-dialog]")) document.getElementById(hit("[data-dialog]").dataset.dialog)?.showModal();
  else if (hit("[data-close]")) hit("dialog")?.close();
  else if (document.body.classList.contains("drawer-open") && !hit(".side")) setDrawer(false);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.body.classList.contains("drawer-open")) setDrawer(false);
});
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (event.target.method === "post" && button && !event.defaultPrevented) {
    // After the event, so that the button's own name and value are still sent.
    setTimeout(() => { button.disabled = true; });
  }
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

// ---- times: relative words grow old; the title carries the reader's own zone
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

function relative(moment) {
  const seconds = (Date.now() - moment) / 1000;
  if (Math.abs(seconds) < 5) return "just now";
  const [size, unit] = UNITS.find(([length]) => Math.abs(seconds) >= length) ?? [1, "s"];
  const text = `${Math.floor(Math.abs(seconds) / size)} ${unit}`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

export function readTimes(scope = document) {
  for (const element of scope.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    element.title = absolute.format(moment);
    if (!element.hasAttribute("data-fixed")) element.textContent = relative(moment);
  }
}

readTimes();
setInterval(readTimes, 10_000);
document.addEventListener("htmx:afterSettle", (event) => readTimes(event.target));
