"use strict";
(() => {
  const holder = document.getElementById("missed-data");
  if (!holder) return;
  const { methods, objects } = JSON.parse(holder.textContent);
  const form = document.getElementById("filters");
  const gallery = document.getElementById("gallery");
  const count = document.getElementById("count");
  const SVG = "http://www.w3.org/2000/svg";

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const choice = (name, words, options) => {
    const select = make("select", { name });
    for (const [value, text] of options) select.append(make("option", { value, textContent: text }));
    form.append(make("label", {}, words, select));
    return select;
  };
  const counted = (key) => {
    const numbers = new Map();
    for (const object of objects) numbers.set(object[key], (numbers.get(object[key]) || 0) + 1);
    return [...numbers].sort((a, b) => b[1] - a[1]).map(([value, n]) => [value, `${value} (${n})`]);
  };

  const method = choice("method", "Missed by", [
    ...methods.map((name, index) => [String(index), name]),
    ...(methods.length > 1 ? [["all", "all methods"], ["only", "the first method only"]] : []),
  ]);
  const kind = choice("class", "Class", [["", "all"], ...counted("class")]);
  const size = choice("size", "Size", [["", "all"], ...counted("size")]);
  const order = choice("order", "Order", [
    ["small", "smallest first"], ["large", "largest first"], ["near", "nearly found first"],
  ]);
  const near = choice("near", "Nearest proposal", [
    ["", "any"], ["touch", "overlaps (IoU above 0)"], ["close", "IoU .3 to .5"], ["none", "does not overlap"],
  ]);
  const file = make("input", { name: "file", type: "search", placeholder: "part of a name" });
  form.append(make("label", {}, "File", file));

  // The entry of the chosen method, or null where the object is not missed in the way that was asked for.
  const entry = (object) => {
    const lost = object.missed;
    if (method.value === "all") return lost.every(Boolean) ? lost[0] : null;
    if (method.value === "only") return lost[0] && !lost.slice(1).some(Boolean) ? lost[0] : null;
    return lost[Number(method.value)];
  };
  const isNear = (iou) => ({ "": true, touch: iou > 0, close: iou >= 0.3, none: iou === 0 })[near.value];

  const rectangle = (box, name) => {
    const rect = document.createElementNS(SVG, "rect");
    const [x1, y1, x2, y2] = box;
    const values = { x: x1, y: y1, width: Math.max(1, x2 - x1), height: Math.max(1, y2 - y1), class: name };
    for (const [key, value] of Object.entries(values)) rect.setAttribute(key, value);
    return rect;
  };
  const card = (object, lost) => {
    const frame = make("div", { className: "frame" });
    frame.style.width = `${object.width}px`;
    frame.style.maxWidth = "100%";
    frame.style.aspectRatio = `${object.width} / ${object.height}`;
    if (object.picture) frame.append(make("img", { src: object.picture, alt: object.class, loading: "lazy" }));
    const overlay = document.createElementNS(SVG, "svg");
    overlay.setAttribute("viewBox", `0 0 ${object.width} ${object.height}`);
    for (const name of ["halo", "nearest"]) if (lost.nearest) overlay.append(rectangle(lost.nearest, name));
    for (const name of ["halo", "object"]) overlay.append(rectangle(object.box, name));
    frame.append(overlay);
    const sides = object.sides.map((side) => Math.round(side)).join(" × ");
    const nearest = lost.nearest ? `nearest IoU ${lost.iou.toFixed(2)}` : "no proposal";
    return make("article", { className: "card" }, frame,
      make("p", {}, `${object.class}, ${sides} px`),
      make("p", { className: "soft" }, `${nearest} · ${object.file}`));
  };

  const draw = () => {
    const words = file.value.trim().toLowerCase();
    const shown = [];
    for (const object of objects) {
      const lost = entry(object);
      if (!lost || !isNear(lost.iou)) continue;
      if (kind.value && object.class !== kind.value) continue;
      if (size.value && object.size !== size.value) continue;
      if (words && !object.file.toLowerCase().includes(words)) continue;
      shown.push([object, lost]);
    }
    if (order.value === "large") shown.reverse();
    if (order.value === "near") shown.sort((a, b) => b[1].iou - a[1].iou);
    gallery.replaceChildren(...shown.map(([object, lost]) => card(object, lost)));
    count.textContent = `${shown.length} of ${objects.length}`;
  };
  form.addEventListener("input", draw);
  form.addEventListener("submit", (event) => event.preventDefault());
  draw();
})();
