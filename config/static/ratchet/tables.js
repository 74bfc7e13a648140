// Tables by keyboard (j, k, enter, /) and by column. A cell sorts by data-sort, else by its text.

const typing = (target) => target.closest("input, textarea, select, dialog[open], [contenteditable]");
const rowsOf = (table) => [...table.tBodies[0].rows].filter((row) => !row.hidden);

function move(table, by) {
  const rows = rowsOf(table);
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.classList.contains("here"));
  const next = Math.min(Math.max(at + by, 0), rows.length - 1);
  rows[at]?.classList.remove("here");
  rows[next].classList.add("here");
  rows[next].scrollIntoView({ block: "nearest" });
  rows[next].querySelector("a[href]")?.focus({ preventScroll: true });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const table = document.querySelector("table[data-keys]");
  if (event.key === "/") {
    const search = document.querySelector("[data-search]");
    if (search) { search.focus(); event.preventDefault(); }
  } else if (table && (event.key === "j" || event.key === "k")) {
    move(table, event.key === "j" ? 1 : -1);
  } else if (table && event.key === "Enter" && event.target === document.body) {
    table.querySelector("tr.here a[href]")?.click();
  }
});

const valueOf = (cell) => cell?.dataset.sort ?? cell?.textContent.trim() ?? "";

function sort(header) {
  const table = header.closest("table");
  const column = [...header.parentElement.children].indexOf(header);
  const direction = header.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
  for (const other of header.parentElement.children) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    const [left, right] = [valueOf(a.cells[column]), valueOf(b.cells[column])];
    const numeric = left !== "" && right !== "" && !isNaN(left) && !isNaN(right);
    return sign * (numeric ? left - right : left.localeCompare(right));
  });
  table.tBodies[0].append(...rows);
}

document.addEventListener("click", (event) => {
  const header = event.target.closest("th[data-sortable]");
  if (header) sort(header);
});

document.addEventListener("input", (event) => {
  const search = event.target.closest("[data-search-in]");
  if (!search) return;
  const wanted = search.value.toLowerCase();
  for (const row of document.querySelector(search.dataset.searchIn).tBodies[0].rows) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
  }
});
