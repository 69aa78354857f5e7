// One entry of the browser's history for each thing that a person does, so that one step back undoes it.
//
// Streamlit makes an entry whenever the address changes, and on the way to another page it changes twice: the filters
// and the page. The one between the two is a page that nobody saw. What follows without a click or a key takes the
// place of what was before; so does what a page writes into its address once it is opened, or gone back to.
(() => {
  let isAsked = false;
  for (const name of ["pointerdown", "click", "keydown"]) {
    window.addEventListener(name, () => { isAsked = true; }, { capture: true, passive: true });
  }
  window.addEventListener("popstate", () => { isAsked = false; }, { capture: true });
  const push = history.pushState.bind(history);
  const replace = history.replaceState.bind(history);
  history.pushState = (...entry) => {
    (isAsked ? push : replace)(...entry);
    isAsked = false;
  };
})();
