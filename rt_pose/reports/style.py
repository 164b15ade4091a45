"""The look of the report's page: follows light and dark, prints on white."""

STYLE = """
:root { color-scheme: light dark;
  --bg: #fbfbfa; --panel: #ffffff; --ink: #1d2126; --soft: #626a73; --faint: #e4e6e8; --grey: #98a0a8;
  --blue: #2f6fde; --orange: #e07b1a; --red: #cf3a3a; --green: #2a9d62; }
@media (prefers-color-scheme: dark) { :root {
  --bg: #14171a; --panel: #1c2024; --ink: #e7e9eb; --soft: #9aa3ac; --faint: #30363c; --grey: #79828b;
  --blue: #6ea3ff; --orange: #f2a24f; --red: #f07070; --green: #5cc78f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 36px 24px 80px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 44px 0 12px; padding-top: 18px; border-top: 1px solid var(--faint); }
h3 { font-size: 14px; margin: 22px 0 6px; }
p { margin: 6px 0; max-width: 78ch; }
.soft, figcaption, caption { color: var(--soft); font-size: 13px; }
code { font: 13px ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 22px 0 0; }
.tile { background: var(--panel); border: 1px solid var(--faint); border-radius: 10px; padding: 12px 14px; }
.tile b { display: block; font-size: 23px; font-weight: 600; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.tile span { display: block; color: var(--soft); font-size: 12.5px; line-height: 1.35; }
.tile.bad b { color: var(--red); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; margin: 8px 0; }
th, td { text-align: right; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--faint);
  vertical-align: top; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; }
th:first-child, td:first-child, .text td, .text th { text-align: left; }
.why td:last-child { white-space: normal; min-width: 24em; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 8px 32px; }
.facts td { white-space: normal; } .facts td:first-child { color: var(--soft); white-space: nowrap; }
svg.plot { width: 100%; height: auto; display: block; margin: 4px 0 2px; }
svg.plot text { font-size: 11.5px; fill: var(--soft); } svg.plot text.name { fill: var(--ink); }
svg.plot .grid { stroke: var(--faint); } svg.plot .axis { stroke: var(--grey); }
figure { margin: 0; min-width: 0; }
svg.frame { width: 100%; height: auto; display: block; border-radius: 6px; background: var(--faint); }
.strip { display: grid; grid-template-columns: repeat(5, 1fr); gap: 8px; margin: 6px 0 18px; }
.picture { max-width: 620px; }
.key { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 12.5px; color: var(--soft); }
.key i { display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 5px; }
.fired { color: var(--green); } .suppressed { color: var(--red); } .withheld { color: var(--orange); }
.note { border-left: 3px solid var(--orange); padding: 2px 12px; }
li { margin: 4px 0; max-width: 78ch; }
@media print { :root { --bg: #fff; --panel: #fff; --ink: #111; --soft: #555; --faint: #ddd; --grey: #888;
    --blue: #2457b8; --orange: #b85f0c; --red: #b02a2a; --green: #1d7a4a; }
  body { font-size: 12px; } main { max-width: none; padding: 0; }
  .two { grid-template-columns: 1fr 1fr; gap: 4px 20px; } h2 { margin-top: 22px; }
  h2, h3 { break-after: avoid; } figure, table, svg, .strip, .tiles { break-inside: avoid; } }
"""
