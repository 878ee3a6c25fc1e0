# What 'make demo' runs: the demo supernet on this machine, from measuring to an exported model, into demo/.
set -eu
start=$(date +%s)
mkdir -p demo
cd demo
rm -rf front # of other latencies
set -x
"$BSTSEARCH" profile --profiles profiles --measure --threads 1
"$BSTSEARCH" pareto --out front
"$BSTSEARCH" export --pick recommended --out export --force
{ set +x; } 2>/dev/null
echo "profile, pareto and export took $(($(date +%s) - start)) s; look at demo/front/front.html and demo/export"
