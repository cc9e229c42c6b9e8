// The course's widgets: web components without any framework. Controls are native inputs, so keyboard
// and screen reader work; colours are the theme's; a component draws itself whenever it enters the page,
// so instant navigation needs nothing more. What stands inside the tag is shown where scripts are off.

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element with attributes. */
function svg(name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

/** A number with a real minus sign, always as wide as its neighbours. */
const shown = (value, digits = 1) => value.toFixed(digits).replace(/^-(0(\.0*)?)$/, "$1").replace("-", "−");

/** A labelled slider; `change` is called with its number. */
function slider(label, { min, max, step, value }, change) {
  const row = document.createElement("label");
  row.className = "slider";
  const name = document.createElement("span");
  name.textContent = label;
  const input = Object.assign(document.createElement("input"), { type: "range", min, max, step, value });
  const output = document.createElement("output");
  const update = () => { output.textContent = shown(+input.value, 1); change(+input.value); };
  input.addEventListener("input", update);
  row.append(name, input, output);
  output.textContent = shown(+value, 1);
  return row;
}

/** A plane with x from `x0` to `x1`, y from `y0` to `y1`, axes, ticks, and `at` from numbers to pixels. */
class Plane {
  constructor({ x: [x0, x1], y: [y0, y1], xticks, yticks, digits = 0, label, width = 640, height = 300 }) {
    const pad = { left: 56, right: 12, top: 12, bottom: 34 };
    this.at = (x, y) => [
      pad.left + ((x - x0) / (x1 - x0)) * (width - pad.left - pad.right),
      height - pad.bottom - ((y - y0) / (y1 - y0)) * (height - pad.top - pad.bottom),
    ];
    this.element = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    for (const tick of xticks) {
      const [x, bottom] = this.at(tick, y0), [, top] = this.at(tick, y1);
      this.element.append(svg("line", { x1: x, x2: x, y1: bottom, y2: top, class: tick ? "grid" : "axis" }));
      this.element.append(svg("text", { x, y: bottom + 24, "text-anchor": "middle" }, shown(tick, 0)));
    }
    for (const tick of yticks) {
      const [left, y] = this.at(x0, tick), [right] = this.at(x1, tick);
      this.element.append(svg("line", { x1: left, x2: right, y1: y, y2: y, class: tick ? "grid" : "axis" }));
      this.element.append(svg("text", { x: left - 8, y: y + 5, "text-anchor": "end" }, shown(tick, digits)));
    }
    this.x = [x0, x1];
  }
  add(name, attributes) {
    const element = svg(name, attributes);
    this.element.append(element);
    return element;
  }
  curve(f, points = 240) {
    const [x0, x1] = this.x;
    return Array.from({ length: points + 1 }, (_, i) => {
      const x = x0 + ((x1 - x0) * i) / points;
      return (i ? "L" : "M") + this.at(x, f(x)).map((value) => value.toFixed(1)).join(" ");
    }).join("");
  }
}

const sigmoid = (z) => 1 / (1 + Math.exp(-z)); // e^1000 is Infinity here, and 1 / Infinity is 0: harmless

/** <sigmoid-lab>: σ(ax + b) and its slope, moved by a and b. */
class SigmoidLab extends HTMLElement {
  connectedCallback() {
    this.a = 1;
    this.b = 0;
    this.plane = new Plane({
      x: [-6, 6], y: [-1.25, 1.25], xticks: [-6, -4, -2, 0, 2, 4, 6], yticks: [-1, -0.5, 0, 0.5, 1], digits: 1,
      label: "The sigmoid of a x + b, and its slope",
    });
    this.slope = this.plane.add("path", { class: "second dashed" });
    this.curve = this.plane.add("path", { class: "first" });
    this.cross = this.plane.add("circle", { r: 5, class: "point" });
    const key = document.createElement("p");
    key.className = "key";
    key.innerHTML = '<span class="first">━</span> y = σ(ax + b) <span class="second">╍</span> slope dy/dx = a·y(1 − y)';
    this.words = document.createElement("p");
    this.words.setAttribute("aria-live", "polite");
    const range = { min: -5, max: 5, step: 0.1 };
    const set = (name) => (value) => { this[name] = value; this.draw(); };
    this.replaceChildren(
      this.plane.element, key,
      slider("slope a", { ...range, value: this.a }, set("a")),
      slider("shift b", { ...range, min: -6, max: 6, value: this.b }, set("b")),
      this.words,
    );
    this.draw();
  }
  draw() {
    const { a, b, plane } = this;
    const y = (x) => sigmoid(a * x + b);
    this.curve.setAttribute("d", plane.curve(y));
    this.slope.setAttribute("d", plane.curve((x) => a * y(x) * (1 - y(x))));
    const middle = -b / a;
    const inside = a !== 0 && Math.abs(middle) <= 6;
    const [cx, cy] = inside ? plane.at(middle, 0.5) : [-99, -99];
    this.cross.setAttribute("cx", cx);
    this.cross.setAttribute("cy", cy);
    const sign = b < 0 ? "−" : "+";
    this.words.textContent = a === 0
      ? `y = σ(${shown(b)}) = ${shown(sigmoid(b), 3)} for every x: with a = 0 the curve is flat.`
      : `y = σ(${shown(a)} x ${sign} ${shown(Math.abs(b))}) crosses one half at x = −b/a = ${shown(middle, 2)}, ` +
        `where its slope is a/4 = ${shown(a / 4, 3)}.`;
  }
}

/** <linear-lab>: two inputs, two outputs; every number of y = x Wᵀ + b with the way it came. */
class LinearLab extends HTMLElement {
  connectedCallback() {
    this.x = [1, 2];
    this.w = [[1, -1], [0.5, 1]];
    this.b = [0, -1];
    this.plane = new Plane({
      x: [-8, 8], y: [-5, 5], xticks: [-8, -4, 0, 4, 8], yticks: [-4, -2, 0, 2, 4], height: 400,
      label: "A square of inputs and where the linear layer puts it",
    });
    this.from = this.plane.add("path", { class: "second dashed" });
    this.to = this.plane.add("path", { class: "first fill" });
    this.before = this.plane.add("circle", { r: 5, class: "point-second" });
    this.after = this.plane.add("circle", { r: 5, class: "point" });
    const key = document.createElement("p");
    key.className = "key";
    key.innerHTML = '<span class="second">╍</span> the unit square of inputs, and x <span class="first">━</span> the same after y = xWᵀ + b';
    this.words = document.createElement("p");
    this.words.setAttribute("aria-live", "polite");
    const range = { min: -3, max: 3, step: 0.5 };
    const rows = [
      ["W₁₁: y₁ per x₁", this.w[0], 0], ["W₁₂: y₁ per x₂", this.w[0], 1],
      ["W₂₁: y₂ per x₁", this.w[1], 0], ["W₂₂: y₂ per x₂", this.w[1], 1],
      ["b₁: shift y₁", this.b, 0], ["b₂: shift y₂", this.b, 1],
    ].map(([label, array, i]) => slider(label, { ...range, value: array[i] }, (v) => { array[i] = v; this.draw(); }));
    const controls = document.createElement("div");
    controls.className = "controls";
    controls.append(...rows);
    this.replaceChildren(this.plane.element, key, controls, this.words);
    this.draw();
  }
  y([p, q]) {
    return this.w.map((row, i) => row[0] * p + row[1] * q + this.b[i]);
  }
  draw() {
    const { plane, w, b, x } = this;
    const corners = [[0, 0], [1, 0], [1, 1], [0, 1]];
    const path = (points) => points.map((p, i) => (i ? "L" : "M") + plane.at(...p).join(" ")).join("") + "Z";
    this.from.setAttribute("d", path(corners));
    this.to.setAttribute("d", path(corners.map((c) => this.y(c))));
    const place = (dot, point) => { const [cx, cy] = plane.at(...point); dot.setAttribute("cx", cx); dot.setAttribute("cy", cy); };
    const y = this.y(x);
    place(this.before, x);
    place(this.after, y);
    const number = (value) => (value < 0 ? `(${shown(value)})` : shown(value));
    const term = (i) =>
      `y${"₁₂"[i]} = ${x[0]}·${number(w[i][0])} + ${x[1]}·${number(w[i][1])} + ${number(b[i])} = ${shown(y[i])}`;
    const area = Math.abs(w[0][0] * w[1][1] - w[0][1] * w[1][0]);
    this.words.textContent = `${term(0)}; ${term(1)}. The square has the area ${shown(area, 2)}.`;
  }
}

/** <softmax-lab>: three logits, one of them right; probabilities, loss and gradient. */
class SoftmaxLab extends HTMLElement {
  connectedCallback() {
    this.x = [0, 0.7, 1.6];
    this.target = 2;
    const heads = ["class", "logit x", "eˣ", "probability p", "wanted q", "gradient p − q"];
    this.table = document.createElement("table");
    this.table.className = "classes"; // else Material dresses it as a table of the text
    this.table.innerHTML =
      "<caption>Three classes: what the model says and what it should say</caption><thead><tr>" +
      heads.map((head) => `<th scope="col">${head}</th>`).join("") + "</tr></thead><tbody></tbody>";
    const scroll = document.createElement("div");
    scroll.className = "scroll";
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "group");
    scroll.setAttribute("aria-label", "table of three classes");
    scroll.append(this.table);
    this.words = document.createElement("p");
    this.words.setAttribute("aria-live", "polite");
    const range = { min: -5, max: 5, step: 0.1 };
    const rows = this.x.map((value, i) =>
      slider(`logit of class ${i}`, { ...range, value }, (v) => { this.x[i] = v; this.draw(); }));
    const choice = document.createElement("fieldset");
    choice.innerHTML = "<legend>right class</legend>";
    for (const i of [0, 1, 2]) {
      const label = document.createElement("label");
      const radio = { type: "radio", name: "right-class", value: i, checked: i === this.target };
      const input = Object.assign(document.createElement("input"), radio);
      input.addEventListener("change", () => { this.target = i; this.draw(); });
      label.append(input, ` ${i} `);
      choice.append(label);
    }
    this.replaceChildren(...rows, choice, scroll, this.words);
    this.draw();
  }
  draw() {
    const largest = Math.max(...this.x); // as in the code: no exponent above 0
    const e = this.x.map((value) => Math.exp(value - largest));
    const sum = e.reduce((a, b) => a + b);
    const p = e.map((value) => value / sum);
    this.table.tBodies[0].innerHTML = p.map((probability, i) => {
      const q = Number(i === this.target);
      return `<tr><th scope="row">${i}${q ? " ✓" : ""}</th><td>${shown(this.x[i])}</td>` +
        `<td>${shown(Math.exp(this.x[i]), 2)}</td>` +
        `<td><span class="bar" style="width:${(100 * probability).toFixed(1)}px"></span> ${shown(probability, 3)}</td>` +
        `<td>${q}</td><td>${shown(probability - q, 3)}</td></tr>`;
    }).join("");
    const loss = Math.log(sum) + largest - this.x[this.target];
    this.words.textContent = `Loss = −log ${shown(p[this.target], 3)} = ${shown(loss, 3)}. ` +
      "Knowing nothing would cost log 3 = 1.099.";
  }
}

customElements.define("sigmoid-lab", SigmoidLab);
customElements.define("softmax-lab", SoftmaxLab);
customElements.define("linear-lab", LinearLab);
