"use strict";
// The page's own script: views renew themselves, forms are sent without leaving them.
const live = document.querySelector("[data-live]");
const said = document.querySelector("[data-said]");
const away = document.querySelector("[data-away]");
const RENEW_MS = 900, AGAIN_MS = 3000, SAID_MS = 9000;

// What is asked for ----------------------------------------------------------------------------

const csrf = () => document.querySelector("meta[name=csrf]")?.content ?? "";

async function renewToken() {
  const answer = await fetch("/token", { cache: "no-store" });
  if (answer.ok) document.querySelector("meta[name=csrf]").content = await answer.text();
}

function say(text, bad) {
  const note = document.createElement("p");
  note.className = bad ? "note bad" : "note";
  note.textContent = text;
  said.append(note);
  if (!bad) setTimeout(() => note.remove(), SAID_MS);
  while (said.children.length > 4) said.firstChild.remove();
}

async function post(url, fields, again = true) {
  const body = new URLSearchParams(fields);
  const headers = { Accept: "application/json", "X-CSRF-Token": csrf() };
  body.delete("csrf");
  const answer = await fetch(url, { method: "POST", headers, body });
  if (answer.status === 403 && again) {
    await renewToken();
    return post(url, fields, false);
  }
  if (answer.headers.get("Content-Type")?.startsWith("application/json")) return answer.json();
  return { done: [], faults: [(await answer.text()).trim()] };
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-ask]");
  if (!form) return;
  event.preventDefault();
  const button = event.submitter ?? form.querySelector("button");
  button.disabled = true;
  try {
    const told = await post(form.action, new FormData(form, event.submitter));
    for (const line of told.done) say(line, false);
    for (const line of told.faults) say(line, true);
    await renew();
  } catch {
    say("This page's server does not answer; nothing was changed.", true);
  } finally {
    button.disabled = false;
  }
});

// Sliders that came after the view was loaded.
document.addEventListener("input", (event) => {
  event.target.closest("[data-compare]")?.style.setProperty("--cut", `${event.target.value}%`);
});

// What is shown --------------------------------------------------------------------------------

const keyOf = (node) => node.nodeType === 1 ? node.dataset.key || node.id : "";

// Makes `old` like `fresh` and touches nothing that is the same: focus, selection and pictures stay.
function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh.cloneNode(true));
    return;
  }
  if (old.nodeType === 3) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.nodeType !== 1 || old.isEqualNode(fresh)) return;
  if (old.matches("[data-calm]")) return calmly(old, fresh);
  for (const { name } of [...old.attributes]) if (name !== "style" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  children(old, fresh);
}

function children(old, fresh) {
  const known = new Map([...old.childNodes].filter(keyOf).map((node) => [keyOf(node), node]));
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const key = keyOf(wanted);
    const match = key ? known.get(key) : at && !keyOf(at) ? at : null;
    if (match) {
      if (match !== at) old.insertBefore(match, at);
      const next = match.nextSibling;
      morph(match, wanted);
      at = next;
    } else {
      old.insertBefore(wanted.cloneNode(true), at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// A picture is replaced once the next one has come, so that nothing flickers.
function calmly(old, fresh) {
  if (old.getAttribute("src") === fresh.getAttribute("src")) return;
  const next = new Image();
  next.addEventListener("load", () => (old.src = next.src));
  next.src = fresh.getAttribute("src");
}

let renewing = false, wanted = false;

async function renew() {
  if (!live || renewing) {
    wanted = true;
    return;
  }
  renewing = true;
  wanted = false;
  try {
    const url = new URL(location.href);
    url.searchParams.set("part", "1");
    url.searchParams.delete("said");
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    if (answer.redirected) return location.reload(); // logged out
    if (answer.ok) {
      const fresh = new DOMParser().parseFromString(`<div>${await answer.text()}</div>`, "text/html");
      children(live, fresh.body.firstChild);
      live.dispatchEvent(new Event("renewed", { bubbles: true }));
    }
  } catch {
    // The stream of news says that the server is away, and renews when it is back.
  } finally {
    setTimeout(() => {
      renewing = false;
      if (wanted) renew();
    }, RENEW_MS);
  }
}

// News -----------------------------------------------------------------------------------------

let stream = null, timer = 0, seen = null;

function show(news) {
  const mark = document.querySelector("[data-service]");
  if (!mark) return;
  const paused = mark.classList.contains("is-paused") && news.running;
  mark.classList.toggle("is-away", !news.running);
  const word = news.running ? (paused ? "paused" : "service running") : "service away";
  const text = mark.querySelector("[data-service-word]");
  if (text.textContent !== word) text.textContent = word;
}

function listen() {
  clearTimeout(timer);
  if (stream || document.hidden) return;
  stream = new EventSource("/news");
  stream.addEventListener("message", (event) => {
    const news = JSON.parse(event.data), before = seen;
    seen = news;
    const back = away && !away.hidden;
    if (away) away.hidden = true;
    show(news);
    const kinds = (live?.dataset.live ?? "").split(" ").filter(Boolean);
    const is_new = before === null || back || before.running !== news.running || kinds.some((kind) => news[kind] !== before[kind]);
    if (kinds.length && is_new) renew();
  });
  stream.addEventListener("error", () => {
    stream.close();
    stream = null;
    if (away) away.hidden = false;
    timer = setTimeout(listen, AGAIN_MS);
  });
}

// Browsers open six connections to a server at most: a view that nobody sees gives its own back.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stream?.close();
    stream = null;
    clearTimeout(timer);
  } else {
    listen();
  }
});
if (live) {
  seen = null;
  listen();
}

// Who comes from another site brings no cookie with the first view, although there may be one.
if (document.querySelector("[data-login]")) {
  fetch("/token").then((answer) => {
    if (answer.ok && !answer.redirected) location.replace("/");
  });
}
