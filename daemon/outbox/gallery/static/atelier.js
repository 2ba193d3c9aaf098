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
