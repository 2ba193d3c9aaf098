"use strict";
// Pictures are sent one after the other, with their bytes as the body, so that each has its progress.
const dropping = document.querySelector("[data-drop]");
const sent = document.querySelector("[data-sent]");
const waiting = [];
let sending = false;

function chosen() {
  return [...dropping.querySelectorAll("input[name=preset]:checked")].map((box) => box.value);
}

function tell() {
  const names = chosen(), text = dropping.querySelector("[data-chosen]");
  if (text) text.textContent = names.length ? `for ${names.join(", ")}` : "";
}

function row(file) {
  const item = document.createElement("li"), name = document.createElement("span");
  const bar = document.createElement("progress"), word = document.createElement("span");
  name.className = "name";
  name.textContent = file.name;
  bar.max = file.size || 1;
  bar.value = 0;
  bar.setAttribute("aria-label", `Sending ${file.name}`);
  word.className = "sub";
  word.textContent = "waits";
  word.setAttribute("role", "status");
  item.append(name, bar, word);
  sent.prepend(item);
  return { item, bar, word };
}

function add(files, presets) {
  if (!presets.length && dropping.querySelector("input[name=preset]")) return say("Choose a preset first.", true);
  for (const file of files) {
    const query = new URLSearchParams({ name: file.name });
    for (const preset of presets) query.append("preset", preset);
    for (const field of dropping.querySelectorAll("input[name]:not([name=preset]):not([type=file]), select[name]")) {
      if (field.value && (field.type !== "radio" || field.checked)) query.append(field.name, field.value);
    }
    waiting.push({ file, query, shown: row(file) });
  }
  next();
}

async function next() {
  if (sending) return;
  const one = waiting.shift();
  if (!one) return;
  sending = true;
  try {
    if (one.file.size > Number(dropping.dataset.most)) throw new Error("the file is larger than the limit");
    const told = await send(one);
    one.shown.bar.value = one.shown.bar.max;
    one.shown.word.textContent = told.done[0] ?? "done";
    one.shown.item.classList.add("is-done");
    if (told.next) location.assign(told.next);
  } catch (error) {
    one.shown.word.textContent = error.message;
    one.shown.item.classList.add("is-bad");
  }
  sending = false;
  next();
}

function send({ file, query, shown }, again = true) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${dropping.dataset.drop}?${query}`);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRF-Token", csrf());
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => {
      shown.bar.value = event.loaded;
      shown.word.textContent = `${Math.floor(100 * event.loaded / Math.max(1, event.total))} %`;
    });
    request.addEventListener("error", () => reject(new Error("this page's server does not answer; drop it again later")));
    request.addEventListener("load", () => {
      if (request.status === 403 && again) return renewToken().then(() => send({ file, query, shown }, false)).then(resolve, reject);
      let told;
      try {
        told = JSON.parse(request.responseText);
      } catch {
        return reject(new Error(request.responseText.trim() || `refused (${request.status})`));
      }
      if (request.status !== 200) return reject(new Error(told.faults?.[0] ?? "refused"));
      resolve(told);
    });
    request.send(file);
  });
}

if (dropping) {
  const over = (target, is) => target?.classList.toggle("is-over", is);
  const place = (event) => event.target.closest?.("[data-target], [data-zone]") ?? dropping;
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  document.addEventListener("dragenter", (event) => carries(event) && over(place(event), true));
  document.addEventListener("dragleave", (event) => over(place(event), false));
  document.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    for (const one of document.querySelectorAll(".is-over")) over(one, false);
    const target = event.target.closest?.("[data-target]");
    add(event.dataTransfer.files, target ? [target.dataset.target] : chosen());
  });
  dropping.addEventListener("change", (event) => {
    if (event.target.matches("[data-files]")) {
      add(event.target.files, chosen());
      event.target.value = "";
    }
    tell();
  });
  dropping.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("beforeunload", (event) => sending && event.preventDefault());
  tell();
}
