"use strict";
// Everything that comes from the document is set as text, never as markup.
const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};
// Text in which `backticks` mark code, as our descriptions have it.
const prose = (text) => String(text).split("`").map((part, index) => (index % 2 ? element("code", { textContent: part }) : part));
let api = { paths: {}, components: {} };

const resolve = (node) => {
  if (!node || !node.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((at, step) => at && at[step], api);
};

// An example of a schema: enough to see its shape and to send it.
const example = (schema, depth = 0) => {
  const s = resolve(schema) || {};
  if (depth > 6) return null;
  if (s.examples) return s.examples[0];
  if (s.default !== undefined && s.default !== null) return s.default;
  if (s.const !== undefined) return s.const;
  if (s.enum) return s.enum[0];
  const choice = s.anyOf || s.oneOf || s.allOf;
  if (choice) return example(choice.find((one) => resolve(one).type !== "null") || choice[0], depth + 1);
  if (s.type === "object" || s.properties)
    return Object.fromEntries(Object.entries(s.properties || {}).map(([name, part]) => [name, example(part, depth + 1)]));
  if (s.type === "array") return [example(s.items, depth + 1)];
  if (s.type === "integer" || s.type === "number") return s.minimum ?? (s.exclusiveMinimum !== undefined ? s.exclusiveMinimum + 1 : 0);
  if (s.type === "boolean") return false;
  if (s.format === "date-time") return "2026-01-05T04:30:00Z";
  return s.type === "string" ? "text" : null;
};

const typeOf = (schema) => {
  const s = resolve(schema) || {};
  if (s.anyOf) return s.anyOf.map(typeOf).join(" or ");
  if (s.enum) return s.enum.join(" | ");
  if (s.type === "array") return "list of " + typeOf(s.items);
  const bounds = ["format", "minimum", "exclusiveMinimum", "maximum", "maxLength", "pattern"].filter((key) => s[key] !== undefined).map((key) => `${key} ${s[key]}`);
  return [s.title && s.type === "object" ? s.title : s.type || "any", ...bounds].join(", ");
};

const schemaTable = (schema) => {
  const s = resolve(schema) || {};
  const required = new Set(s.required || []);
  const rows = Object.entries(s.properties || {}).map(([name, part]) =>
    element("tr", {}, element("td", {}, element("code", { textContent: name + (required.has(name) ? "" : "?") })),
      element("td", { className: "soft", textContent: typeOf(part) }), element("td", {}, ...prose((resolve(part) || {}).description || ""))));
  return rows.length ? element("table", {}, ...rows) : element("p", { className: "soft", textContent: typeOf(schema) });
};

const send = async (method, path, inputs, bodyInput, output) => {
  const query = new URLSearchParams();
  const headers = {};
  let target = path;
  for (const { parameter, input } of inputs) {
    if (input.value === "") continue;
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    if (parameter.in === "query") query.append(parameter.name, input.value);
    if (parameter.in === "header") headers[parameter.name] = input.value;
  }
  const token = document.getElementById("token").value;
  if (token) headers.Authorization = `Bearer ${token}`;
  if (bodyInput) headers["Content-Type"] = "application/json";
  output.textContent = "…";
  try {
    const response = await fetch(target + (query.size ? `?${query}` : ""), { method, headers, body: bodyInput ? bodyInput.value : undefined });
    const text = await response.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
    output.textContent = `${response.status} ${response.statusText}\n\n${shown}`;
  } catch (error) {
    output.textContent = String(error);
  }
};

const operationView = (method, path, operation) => {
  const details = element("details", { className: "operation" });
  details.dataset.search = [method, path, operation.summary, operation.operationId, ...(operation["x-roles"] || [])].join(" ").toLowerCase();
  details.append(element("summary", {},
    element("span", { className: "method", textContent: method.toUpperCase() }),
    element("span", { className: "path", textContent: path }), " ",
    element("span", { className: "soft", textContent: operation.summary || "" })));
  details.addEventListener("toggle", () => { if (details.open && details.childElementCount === 1) fill(details, method, path, operation); });
  return details;
};

const fill = (details, method, path, operation) => {
  if (operation.description) details.append(element("p", {}, ...prose(operation.description)));
  details.append(element("p", { className: "soft", textContent: `Roles: ${(operation["x-roles"] || []).join(", ") || "none: closed"}` }));
  const inputs = (operation.parameters || []).map((parameter) => ({ parameter, input: element("input", { placeholder: String(example(parameter.schema) ?? "") }) }));
  if (inputs.length) details.append(element("table", {}, ...inputs.map(({ parameter, input }) => {
    input.setAttribute("aria-label", parameter.name);
    return element("tr", {}, element("td", {}, element("code", { textContent: parameter.name + (parameter.required ? "" : "?") })),
      element("td", { className: "soft", textContent: `${parameter.in}; ${typeOf(parameter.schema)}` }),
      element("td", {}, ...prose(parameter.description || "")), element("td", {}, input));
  })));
  let bodyInput = null;
  const bodySchema = operation.requestBody?.content?.["application/json"]?.schema;
  if (bodySchema) {
    bodyInput = element("textarea", { value: JSON.stringify(example(bodySchema), null, 2), spellcheck: false });
    bodyInput.setAttribute("aria-label", "Body");
    bodyInput.rows = bodyInput.value.split("\n").length + 1;
    details.append(element("h3", { textContent: "Body" }), schemaTable(bodySchema), bodyInput);
  }
  const output = element("pre", { hidden: true });
  const button = element("button", { textContent: "Send", type: "button" });
  button.addEventListener("click", () => { output.hidden = false; send(method.toUpperCase(), path, inputs, bodyInput, output); });
  details.append(element("p", {}, button), output, element("h3", { textContent: "Answers" }));
  const problems = [];
  for (const [status, answer] of Object.entries(operation.responses || {})) {
    const resolved = resolve(answer) || {};
    const schema = resolved.content?.["application/json"]?.schema;
    if (resolved.content?.["application/problem+json"]) { problems.push(`${status} ${resolved.description || ""}`); continue; }
    details.append(element("p", {}, element("code", { textContent: status }), ` ${resolved.description || ""}`));
    if (schema) details.append(schemaTable(schema));
  }
  if (problems.length) details.append(element("p", { className: "soft", textContent: `Problems (RFC 9457): ${problems.join(", ")}` }));
};

const show = () => {
  const byTag = new Map();
  for (const [path, item] of Object.entries(api.paths))
    for (const [method, operation] of Object.entries(item)) {
      const tag = (operation.tags || ["other"])[0];
      if (!byTag.has(tag)) byTag.set(tag, []);
      byTag.get(tag).push(operationView(method, path, operation));
    }
  for (const tag of [...byTag.keys()].sort()) {
    document.getElementById("tags").append(element("a", { href: `#${tag}`, textContent: tag }));
    document.getElementById("operations").append(element("section", {}, element("h2", { id: tag, textContent: tag }), ...byTag.get(tag)));
  }
};

document.getElementById("find").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const view of document.querySelectorAll("details.operation")) view.hidden = !view.dataset.search.includes(wanted);
  for (const section of document.querySelectorAll("section")) section.hidden = !section.querySelector("details:not([hidden])");
});

fetch("/v1/openapi.json").then((response) => response.json()).then((loaded) => {
  api = loaded;
  const missing = loaded["x-missing-services"] || [];
  document.getElementById("about").replaceChildren(...prose(loaded.info.description), missing.length ? ` (Not answering just now: ${missing.join(", ")}.)` : "");
  show();
}).catch((error) => { document.getElementById("about").textContent = `The API document could not be loaded: ${error}`; });
