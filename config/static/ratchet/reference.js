// The API reference follows the theme of the other pages: the chosen one, else the system's.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => {
  const chosen = localStorage.getItem("ratchet-theme");
  document.documentElement.classList.toggle("dark-mode", chosen ? chosen === "dark" : dark.matches);
};
follow();
dark.addEventListener("change", follow);
