// No module, so that it runs where modules cannot: it says that something comes, or why nothing does.

if (location.protocol !== "file:") {
  const late = document.getElementById("late");
  late.textContent = "Loading…";
  const fail = () => {
    late.className = "error";
    late.textContent = "The scripts of this page cannot run; is a file missing, sent as another type, or the browser old?";
  };
  addEventListener("error", fail, true); // scripts that cannot be fetched are told on their way down only
}
