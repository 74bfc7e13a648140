// News from the server: what is now, and when the figures below have been made anew.

const place = document.querySelector("[data-live]");
let heard = 0;

function since() {
  const said = place?.querySelector(".heard");
  if (!said) return;
  const seconds = Math.round((Date.now() - heard) / 1000);
  said.classList.toggle("on", heard > 0 && seconds < 15);
  said.classList.toggle("lost", heard > 0 && seconds >= 15);
  said.textContent = !heard ? "connecting" : seconds < 15 ? `heard ${seconds} s ago` : `not heard since ${seconds} s`;
}

function show(numbers) {
  for (const [name, text] of Object.entries(numbers)) {
    const slot = place.querySelector(`[data-now="${name}"]`);
    if (slot) slot.textContent = text;
  }
}

function listen() {
  const source = new EventSource(place.dataset.live);
  source.addEventListener("now", (event) => { heard = Date.now(); show(JSON.parse(event.data)); since(); });
  source.addEventListener("rolled", () => { heard = Date.now(); document.body.dispatchEvent(new Event("rolled")); });
  addEventListener("pagehide", () => source.close());
}

if (place) { listen(); setInterval(since, 1000); }
