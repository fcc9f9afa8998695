"""The style of pages that need nothing else, in dark and in light."""

STYLE = """
:root { color-scheme: light dark; --bg: #fbfbfa; --fg: #1d2327; --soft: #5c6770; --grid: #dfe3e6;
  --card: #fff; --c0: #123f6d; --c1: #2f78b7; --c2: #74add8; --c3: #d98e32; --c4: #a45a2a; --c5: #9aa5ad; }
@media (prefers-color-scheme: dark) { :root { --bg: #15191c; --fg: #e6eaed; --soft: #9aa7b1;
  --grid: #2d353b; --card: #1c2226; --c0: #9fcbf2; --c1: #5aa0df; --c2: #326ea6; --c3: #e5a454;
  --c4: #c47a46; --c5: #64717a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--fg); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 940px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; overflow-wrap: anywhere; }
p { margin: .4rem 0; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.card { background: var(--card); border: 1px solid var(--grid); border-radius: 8px; padding: 14px 16px;
  margin-bottom: 12px; overflow-x: auto; }
svg { display: block; width: 100%; min-width: 560px; height: auto; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
svg text.name { fill: var(--fg); font-size: 13px; }
.grid { stroke: var(--grid); stroke-width: 1; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 4px 10px; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 600; }
.key span { display: inline-block; margin: 6px 16px 0 0; }
.key i { display: inline-block; width: 14px; height: 10px; border-radius: 2px; margin-right: 6px; }
""" + "".join(
    f".s{n} {{ fill: var(--c{n}); }} .key .s{n} {{ background: var(--c{n}); }} "
    f".l{n} {{ stroke: var(--c{n}); stroke-width: 2.2; }}\n"
    for n in range(6)
)
