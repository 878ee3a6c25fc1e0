# What 'make demo' runs: the demo supernet on this machine, from measuring to an exported model, into demo/.
set -eu
start=$(date +%s)
set -x
"$BSTSEARCH" profile --profiles demo/profiles --measure --threads 1
"$BSTSEARCH" pareto --profiles demo/profiles --out demo/front --force
"$BSTSEARCH" export --pick 4 --front demo/front/front.json --out demo/export --force
{ set +x; } 2>/dev/null
echo "profile, pareto and export took $(($(date +%s) - start)) s; look at demo/front/front.html and demo/export"
