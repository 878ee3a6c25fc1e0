/* Elements, made with text as text: nothing from a file is ever read as HTML. */

const find = (id) => document.getElementById(id);
const SVG = find("plot").namespaceURI;

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/* Puts `nodes` into `parent` in this order; touches nothing that is in place, so that focus stays. */
function arrange(parent, nodes) {
  const isInPlace =
    nodes.length === parent.childNodes.length && nodes.every((node, n) => node === parent.childNodes[n]);
  if (!isInPlace) parent.replaceChildren(...nodes);
}
