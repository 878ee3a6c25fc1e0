# What 'make demo' runs: the demo supernet on this machine, from measuring to an exported model, into demo/.
set -eu
start=$(date +%s)
set -x
"$BSTSEARCH" profile --device local --profiles demo/profiles --measure
"$BSTSEARCH" pareto --device local --profiles demo/profiles --budget-ms 50% --out demo/front --force
"$BSTSEARCH" export --pick recommended --front demo/front/front.json --out demo/export --force
set +x
echo "profile, pareto and export took $(($(date +%s) - start)) s; see demo/front and demo/export"
