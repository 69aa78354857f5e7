// The API reference: /openapi.json as a page.

import { address } from "./api.js";
import { byId, make } from "./dom.js";

const METHODS = ["get", "post", "put", "patch", "delete"];
const MOST_DEPTH = 4;
let schemas = {};

async function begin() {
  const origin = address("./").href.replace(/\/$/, "");
  for (const element of document.querySelectorAll(".origin")) element.textContent = origin;
  const answer = await fetch(address("openapi.json"));
  if (!answer.ok) throw new Error(`openapi.json cannot be read: status ${answer.status}`);
  const document_ = await answer.json();
  schemas = document_.components?.schemas ?? {};
  byId("version").textContent = `${document_.info.title} ${document_.info.version}`;
  byId("description").append(...paragraphs(document_.info.description ?? ""));
  for (const [tag, operations] of byTag(document_.paths)) {
    const title = tag[0].toUpperCase() + tag.slice(1);
    byId("operations").append(make("h2", {}, title), ...operations.map(operationOf));
  }
}

function byTag(paths) {
  const groups = new Map();
  for (const [path, item] of Object.entries(paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      if (!operation) continue;
      const tag = operation.tags?.[0] ?? "more";
      groups.set(tag, [...(groups.get(tag) ?? []), { path, method, ...operation }]);
    }
  }
  return groups;
}

function operationOf(operation) {
  const { path, method, summary = "", description = "" } = operation;
  const short = description.split("\n")[0] || summary;
  const inside = make("div", { className: "inside" }, ...paragraphs(description));
  if (operation.parameters?.length) inside.append(make("h3", {}, "Parameters"), parametersOf(operation.parameters));
  for (const [type, { schema }] of Object.entries(operation.requestBody?.content ?? {})) {
    inside.append(make("h3", {}, `Body, ${type}`), fieldsOf(schema));
  }
  inside.append(make("h3", {}, "Answers"), answersOf(operation.responses ?? {}));
  return make(
    "details",
    { className: "card operation" },
    make(
      "summary",
      {},
      make("span", { className: "method", data: { method } }, method.toUpperCase()),
      make("code", {}, path),
      make("span", { className: "short" }, ...marked(short)),
    ),
    inside,
  );
}

const paragraphs = (text) => text.split(/\n\n+/).filter(Boolean).map((part) => make("p", {}, ...marked(part)));

// `code` in running text.
function marked(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

function table(...rows) {
  return make("table", { className: "fields-table" }, make("tbody", {}, ...rows));
}

function row(name, kind, note, { isNeeded = false, depth = 0 } = {}) {
  const first = make("td", {}, make("code", {}, name), isNeeded ? make("span", { className: "must" }, " needed") : "");
  first.style.paddingLeft = `${depth * 1.25}rem`;
  return make("tr", {}, first, make("td", {}, kind), make("td", {}, ...marked(note)));
}

function parametersOf(parameters) {
  return table(
    ...parameters.map((one) => row(one.name, `${kindOf(one.schema)}, ${one.in}`, noteOf(one.schema, one.description), { isNeeded: one.required })),
  );
}

// The shape of errors is told once, at the top.
function answersOf(responses) {
  const rows = [];
  const shapes = [];
  for (const [status, answer] of Object.entries(responses)) {
    const types = Object.entries(answer.content ?? {});
    rows.push(row(status, types.map(([type]) => type).join(", "), answer.description ?? ""));
    const shape = types.map(([, { schema }]) => schema).find((schema) => schema && resolved(schema).properties);
    if (shape && status < "400") {
      shapes.push(make("details", {}, make("summary", { className: "note" }, `Fields of ${status}`), fieldsOf(shape)));
    }
  }
  const all = table(...rows);
  all.classList.add("answers");
  return make("div", {}, all, ...shapes);
}

function fieldsOf(schema) {
  return table(...rowsOf(schema, 0));
}

function rowsOf(schema, depth) {
  const { properties = {}, required = [] } = resolved(schema);
  return Object.entries(properties).flatMap(([name, field]) => {
    const inner = innerOf(field);
    const own = row(name, kindOf(field), noteOf(field), { isNeeded: depth === 0 && required.includes(name), depth });
    return inner && depth < MOST_DEPTH ? [own, ...rowsOf(inner, depth + 1)] : [own];
  });
}

function resolved(schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? { ...(schemas[name] ?? {}), ...schema } : schema ?? {};
}

// What a field is made of, where that has fields of its own.
function innerOf(field) {
  const whole = resolved(field);
  const candidates = [whole, whole.items, ...(whole.anyOf ?? []), ...(whole.allOf ?? []), ...(whole.oneOf ?? [])];
  if (typeof whole.additionalProperties === "object") candidates.push(whole.additionalProperties);
  return candidates.find((one) => one && resolved(one).properties) ?? null;
}

function kindOf(field) {
  const whole = resolved(field);
  const choices = whole.anyOf ?? whole.oneOf ?? whole.allOf;
  if (choices) return [...new Set(choices.map(kindOf))].join(" or ");
  if (whole.const !== undefined) return JSON.stringify(whole.const);
  if (whole.type === "array") return `list of ${kindOf(whole.items ?? {})}`;
  if (whole.format === "binary" || whole.contentMediaType) return "file";
  return whole.type ?? "any";
}

function noteOf(field, description = "") {
  const whole = resolved(field);
  const parts = [description || field.description || (field.$ref ? "" : whole.description) || ""];
  if (whole.enum) parts.push(`One of ${whole.enum.map((one) => `\`${one}\``).join(", ")}.`);
  if (whole.default !== undefined && whole.default !== null) parts.push(`Left out: \`${JSON.stringify(whole.default)}\`.`);
  return parts.filter(Boolean).join(" ");
}

begin().catch((error) => {
  byId("error").textContent = error.message;
  byId("error").hidden = false;
});
