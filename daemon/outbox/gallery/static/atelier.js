"use strict";
// The slider between photograph and painting: the range input does mouse, touch and keyboard.
for (const figure of document.querySelectorAll("[data-compare]")) {
  const range = figure.querySelector("input");
  const show = () => figure.style.setProperty("--cut", range.value + "%");
  range.addEventListener("input", show);
  show(); // a browser keeps the value when it goes back
}
// Arrow keys go to the pictures before and after, where nothing else wants them.
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  const link = rel && document.querySelector(`a[rel=${rel}]`);
  if (link) link.click();
});
const showCurrent = () => document.querySelector(".tabs [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
showCurrent();
// The gallery's tabs as they are now; its older pages were written when there were others.
function showTabs(links) {
  const nav = document.querySelector("nav[data-root]");
  if (!nav) return;
  const current = nav.querySelector("[aria-current]")?.dataset.shelf;
  nav.replaceChildren(...links.map((link) => {
    const tab = document.createElement("a");
    tab.href = nav.dataset.root + link.page;
    tab.append(link.title + " ");
    if (link.kind) tab.className = link.kind;
    if (link.shelf === current) tab.setAttribute("aria-current", "page");
    const count = document.createElement("span");
    count.className = "count";
    count.textContent = link.count;
    tab.append(count);
    return tab;
  }));
  showCurrent();
}
