"use strict";
// Two pictures of one shape side by side, moved and scaled together; tiles come when they are seen.
const zoomer = document.querySelector("[data-zoomer]");

class Pane {
  constructor(figure, tile) {
    this.figure = figure;
    this.tile = tile;
    this.width = Number(figure.dataset.width);
    this.height = Number(figure.dataset.height);
    this.tiles = new Map();
    this.layer = document.createElement("div");
    this.layer.className = "layer";
    figure.prepend(this.layer);
  }

  // at: the middle, as a share of the picture; scale: screen pixels for each of the widest picture's.
  draw(at, scale, widest) {
    const box = this.figure.getBoundingClientRect();
    const own = scale * widest / this.width;
    const level = Math.max(0, Math.min(this.deepest(), Math.floor(-Math.log2(own * devicePixelRatio) + 0.01)));
    const step = this.tile * 2 ** level;
    const left = box.width / 2 - at.x * this.width * own, top = box.height / 2 - at.y * this.height * own;
    const first = { x: Math.max(0, Math.floor(-left / own / step)), y: Math.max(0, Math.floor(-top / own / step)) };
    const last = {
      x: Math.min(Math.ceil(this.width / step) - 1, Math.floor((box.width - left) / own / step)),
      y: Math.min(Math.ceil(this.height / step) - 1, Math.floor((box.height - top) / own / step)),
    };
    const shown = new Set();
    for (let y = first.y; y <= last.y; y++) {
      for (let x = first.x; x <= last.x; x++) {
        const key = `${level}/${x}/${y}`;
        shown.add(key);
        this.place(key, x, y, step, left, top, own);
      }
    }
    for (const [key, image] of this.tiles) {
      if (shown.has(key)) continue;
      image.remove();
      this.tiles.delete(key);
    }
  }

  deepest() {
    return Math.max(0, Math.ceil(Math.log2(Math.max(this.width, this.height) / this.tile)));
  }

  place(key, x, y, step, left, top, own) {
    let image = this.tiles.get(key);
    if (!image) {
      image = new Image();
      image.alt = "";
      image.draggable = false;
      const source = `${this.figure.dataset.pane}/${key}`;
      let tries = 3; // while others are being made there is no tile for this one
      image.addEventListener("load", () => (image.hidden = false));
      image.addEventListener("error", () => {
        image.hidden = true;
        if (tries-- > 0) setTimeout(() => (image.src = source), 3000);
      });
      image.src = source;
      this.tiles.set(key, image);
      this.layer.append(image);
    }
    const width = Math.min(step, this.width - x * step), height = Math.min(step, this.height - y * step);
    Object.assign(image.style, {
      left: `${left + x * step * own}px`, top: `${top + y * step * own}px`,
      width: `${width * own}px`, height: `${height * own}px`,
    });
  }
}

function start() {
  const panes = [...zoomer.querySelectorAll("[data-pane]")].map((figure) => new Pane(figure, Number(zoomer.dataset.tile)));
  const widest = Math.max(...panes.map((pane) => pane.width)), shape = panes[1].height / panes[1].width;
  const told = document.querySelector("[data-zoom-said]");
  const at = { x: 0.5, y: 0.5 };
  const painting = panes[1].width;
  const full = () => painting / widest / devicePixelRatio; // a pixel of the painting for one of the screen
  const whole = () => {
    const box = panes[0].figure.getBoundingClientRect();
    return Math.min(box.width / widest, box.height / (widest * shape));
  };
  let scale = full(), waiting = false;

  const draw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      at.x = Math.min(1, Math.max(0, at.x));
      at.y = Math.min(1, Math.max(0, at.y));
      for (const pane of panes) pane.draw(at, scale, widest);
      told.textContent = `${Math.round(100 * scale / full())} %`;
    });
  };
  const zoom = (factor) => {
    scale = Math.min(8 * full(), Math.max(Math.min(whole(), full()), scale * factor));
    draw();
  };
  const move = (x, y) => {
    at.x -= x / (scale * widest);
    at.y -= y / (scale * widest * shape);
    draw();
  };
  const asked = { in: () => zoom(1.5), out: () => zoom(1 / 1.5), fit: () => ((scale = whole()), draw()), full: () => ((scale = full()), draw()) };
  document.addEventListener("click", (event) => asked[event.target.dataset?.zoom]?.());
  zoomer.addEventListener("keydown", (event) => {
    const keys = {
      ArrowLeft: () => move(80, 0), ArrowRight: () => move(-80, 0), ArrowUp: () => move(0, 80), ArrowDown: () => move(0, -80),
      "+": asked.in, "=": asked.in, "-": asked.out, 0: asked.fit, 1: asked.full,
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });
  zoomer.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400));
  }, { passive: false });
  const fingers = new Map();
  zoomer.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    zoomer.setPointerCapture(event.pointerId);
  });
  zoomer.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const now = { x: event.clientX, y: event.clientY };
    if (others.length === 1) {
      const apart = (place) => Math.hypot(place.x - others[0].x, place.y - others[0].y);
      zoom(apart(now) / Math.max(1, apart(before)));
    } else {
      move(now.x - before.x, now.y - before.y);
    }
    fingers.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel"]) zoomer.addEventListener(end, (event) => fingers.delete(event.pointerId));
  new ResizeObserver(draw).observe(zoomer);
  draw();
}

if (zoomer) start();
