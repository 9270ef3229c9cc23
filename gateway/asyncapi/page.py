"""`/docs/ws`: the AsyncAPI document as an HTML page, rendered once on the server, without scripts or other hosts."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

import orjson

from gateway.asyncapi.prose import html_of, inline
from gateway.protocol.ids import MAX_ID

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}: WebSockets</title>
<link rel="icon" href="../static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="ws.css">
</head>
<body>
<nav aria-label="Contents">{contents}</nav>
<main>{body}</main>
</body>
</html>
"""
_DIRECTIONS: Final = {"receive": "Commands that a client sends", "send": "Messages that a client gets"}
"""By the document's action, which is named from the gateway's view."""

Json = Mapping[str, Any]


def page(document: Json) -> str:
    """Render the page."""
    title, version = document["info"]["title"], document["info"]["version"]
    payloads = {message["payload"].get("$ref") for message in document["components"]["messages"].values()}
    shared = {
        name: schema
        for name, schema in document["components"]["schemas"].items()
        if f"#/components/schemas/{name}" not in payloads
    }
    channels = document["channels"]
    contents = [
        '<a class="home" href="../docs">HTTP API</a><a href="../asyncapi.json">asyncapi.json</a>',
        '<a href="#top">Introduction</a>',
        *(f'<a href="#{name}">{escape(channel["title"])}</a>' for name, channel in channels.items()),
        '<a href="#objects">Objects</a>',
    ]
    body = [
        f'<h1 id="top">{escape(title)}: WebSockets <small>{escape(version)}</small></h1>',
        html_of(document["info"]["description"]),
        *(_channel(document, name, channel) for name, channel in channels.items()),
        '<section><h2 id="objects">Objects</h2>',
        *(_object(name, schema) for name, schema in shared.items()),
        "</section>",
    ]
    return _PAGE.format(title=escape(title), contents="".join(contents), body="\n".join(body))


def _channel(document: Json, name: str, channel: Json) -> str:
    operations = {
        anchor: operation
        for anchor, operation in document["operations"].items()
        if operation["channel"]["$ref"] == f"#/channels/{name}"
    }
    bindings = [each.get("bindings", {}) for each in (channel, *operations.values())]
    query = next(binding["query"]["properties"] for each in bindings for binding in each.values())
    parameters = [
        *((f"<code>{{{key}}}</code>", each["description"]) for key, each in channel.get("parameters", {}).items()),
        *((f"<code>?{key}=</code>", each["description"]) for key, each in query.items()),
    ]
    closes = [
        (f"<code>{close['code']}</code>", "yes" if close["reconnect"] else "no", inline(close["meaning"]))
        for close in channel["x-close-codes"]
    ]
    parts = [
        f'<section><h2 id="{name}">{escape(channel["title"])}</h2>',
        f'<p class="address"><code>{escape(channel["address"])}</code></p>',
        html_of(channel["description"]),
        _table(("in the URL", "meaning"), [(where, inline(meaning)) for where, meaning in parameters]),
    ]
    for anchor, operation in operations.items():
        parts.append(f"<h3>{_DIRECTIONS[operation['action']]}</h3>")
        parts += [_message(document, anchor, each["$ref"].rpartition("/")[2]) for each in operation["messages"]]
    parts += ["<h3>Close codes</h3>", _table(("code", "reconnect?", "meaning"), closes), "</section>"]
    return "\n".join(parts)


def _message(document: Json, operation: str, name: str) -> str:
    message = document["components"]["messages"][name]
    schema = message["payload"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    anchor = f"{operation}-{name}"
    parts = [
        f'<article><h4 id="{anchor}"><a href="#{anchor}">{escape(message["title"])}</a></h4>',
        html_of(message["summary"]),
        _fields(schema),
    ]
    for example in message.get("examples", ()):
        text = orjson.dumps(example["payload"], option=orjson.OPT_INDENT_2).decode()
        parts.append(f'<pre tabindex="0" aria-label="Example"><code>{escape(text)}</code></pre>')
    return "\n".join([*parts, "</article>"])


def _object(name: str, schema: Json) -> str:
    text = html_of(schema.get("description", ""))
    return f'<article><h4 id="object-{name}">{escape(name)}</h4>{text}{_fields(schema)}</article>'


def _fields(schema: Json) -> str:
    """A table of an object's keys; for any other schema, its type."""
    if "properties" not in schema:
        return f"<p>{_type(schema)}</p>"
    required = set(schema.get("required", ()))
    rows = [
        (f"<code>{escape(key)}</code>", _type(each), "required" if key in required else "optional")
        for key, each in sorted(schema["properties"].items(), key=lambda pair: (pair[0] != "type", pair[0]))
    ]
    return _table(("key", "value", ""), rows)


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#object-{escape(name)}">{escape(name)}</a>'
    if "enum" in schema:
        return ", ".join(f"<code>{escape(orjson.dumps(value).decode())}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(orjson.dumps(schema['const']).decode())}</code>"
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if schema.get("type") == "array":
        return f"array of {_type(schema.get('items', {}))}"
    words = [str(schema.get("type", "any JSON")), *_bounds(schema)]
    return escape(", ".join(words))


def _bounds(schema: Json) -> Iterator[str]:
    if "format" in schema:
        yield schema["format"]
    if "minimum" in schema:
        yield f"at least {schema['minimum']}"
    if schema.get("maximum", MAX_ID) < MAX_ID:
        yield f"at most {schema['maximum']}"
    if "maxLength" in schema:
        yield f"{schema.get('minLength', 0)} to {schema['maxLength']} characters"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table with its own scroll bar on narrow screens; the cells are HTML."""
    if not rows:
        return ""
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    cells = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="table" tabindex="0"><table><thead><tr>{titles}</tr></thead><tbody>{cells}</tbody></table></div>'
    )


STYLE: Final = """\
:root { color-scheme: light dark; --text: #1c2024; --muted: #5a6169; --page: #fff; --soft: #f3f5f7; --line: #d8dde2;
  --link: #0a58ca; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ec; --muted: #a3abb3; --page: #14171a; --soft: #1e2327;
  --line: #353c43; --link: #7db3ff; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; display: grid; grid-template-columns: 16rem minmax(0, 1fr); color: var(--text);
  background: var(--page); font: 1rem/1.5 system-ui, sans-serif; }
nav { position: sticky; top: 0; align-self: start; max-height: 100vh; overflow: auto; padding: 1.5rem 1rem; }
nav a { display: block; padding: .3rem .5rem; border-radius: .3rem; text-decoration: none; }
nav a:hover, nav a:focus-visible { background: var(--soft); }
main { padding: 1.5rem 2rem 4rem; max-width: 60rem; }
a { color: var(--link); }
h1 small { color: var(--muted); font-size: 1rem; font-weight: normal; }
h2 { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h4 { margin: 0; }
h4 a { color: inherit; text-decoration: none; }
article { margin: 1rem 0; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
pre { overflow: auto; padding: .75rem; border-radius: .3rem; background: var(--soft); }
pre code { overflow-wrap: normal; }
.address code { padding: .3rem .5rem; border-radius: .3rem; background: var(--soft); }
.table { overflow: auto; margin: .75rem 0; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--muted); font-weight: 600; }
@media (max-width: 45rem) { body { display: block; } nav { position: static; max-height: none; }
  main { padding: 0 1rem 3rem; } }
"""
