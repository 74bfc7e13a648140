// Keys of the review page and its list: one letter each, never while somebody types.
(() => {
  const page = document.querySelector(".review");
  if (!page) {
    // In the list j and k go through the proposals, and Enter opens one.
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
      const step = { j: 1, k: -1 }[event.key];
      // Looked for now: the script may run before the list is there.
      const links = [...document.querySelectorAll('#result_list a[href*="/improvement/"][href*="/change/"]')];
      if (!step || !links.length) return;
      const place = links.indexOf(document.activeElement);
      const next = place < 0 ? 0 : Math.min(Math.max(place + step, 0), links.length - 1);
      links[next].focus();
    });
    return;
  }
  const go = (url) => { if (url) window.location.assign(url); };
  const reason = page.querySelector("#id_reason");
  page.addEventListener("click", (event) => {
    const button = event.target.closest('button[value="reject"], button[value="take_back"], button[value="override"], button[value="done"]');
    if (button && reason && !reason.value.trim()) {
      event.preventDefault();
      reason.setCustomValidity("Say why.");
      reason.reportValidity();
    }
  });
  reason?.addEventListener("input", () => reason.setCustomValidity(""));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const moves = { j: page.dataset.after, k: page.dataset.before, u: page.dataset.list };
    if (event.key in moves) { go(moves[event.key]); return; }
    const target = page.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!target) return;
    event.preventDefault();
    // A letter only brings the button under the fingers: Enter decides.
    if (target.tagName === "SUMMARY") { target.click(); page.querySelector("#id_prompt")?.focus(); } else target.focus();
  });
})();
