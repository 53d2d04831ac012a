"use strict";
/* Everything here works without it; it saves typing.
   The codes ride behind the # of a link, which no server sees. They are moved into the form, and out of the address. */

(function () {
  var fields = { c: "code", t: "token", k: "secret" };

  function grouped(value) {
    return value.replace(/[^0-9A-Za-z]/g, "").replace(/(.{5})(?=.)/g, "$1 ").toUpperCase();
  }

  /* What was said of what stood there before says nothing of what stands there now. */
  function forgetProblems() {
    document.querySelectorAll(".summary, .error").forEach(function (each) { each.remove(); });
    document.querySelectorAll(".wrong").forEach(function (each) { each.classList.remove("wrong"); });
    document.querySelectorAll("[aria-invalid]").forEach(function (each) {
      each.removeAttribute("aria-invalid");
      if (document.getElementById(each.id + "-hint")) { each.setAttribute("aria-describedby", each.id + "-hint"); }
    });
  }

  function take() {
    var carried = new URLSearchParams(window.location.hash.slice(1));
    var taken = false;
    Object.keys(fields).forEach(function (letter) {
      var field = document.getElementById(fields[letter]);
      var value = carried.get(letter);
      if (field && value) {
        field.value = grouped(value.slice(0, 64));
        taken = true;
        var box = field.closest("[data-hide-when-carried]");
        if (box) { box.hidden = true; }
      }
    });
    if (taken) {
      forgetProblems();
      window.history.replaceState(null, "", window.location.pathname + window.location.search);
      document.querySelectorAll("[data-show-when-carried]").forEach(function (each) { each.hidden = false; });
      document.querySelectorAll("[data-hide-when-carried-too]").forEach(function (each) { each.hidden = true; });
    }
  }

  /* Another language is another page: what was typed or carried goes along. */
  function keep(event) {
    var kept = new URLSearchParams();
    Object.keys(fields).forEach(function (letter) {
      var field = document.getElementById(fields[letter]);
      if (field && field.value) { kept.set(letter, field.value.replace(/ /g, "")); }
    });
    var link = event.currentTarget;
    link.hash = kept.toString();
  }

  function offerToShow(button) {
    var field = document.getElementById(button.dataset.shows);
    button.hidden = false;
    button.addEventListener("click", function () {
      var showing = field.type === "text";
      field.type = showing ? "password" : "text";
      button.textContent = showing ? button.dataset.show : button.dataset.hide;
      button.setAttribute("aria-pressed", String(!showing));
    });
  }

  take();
  window.addEventListener("hashchange", take);
  document.querySelectorAll("[data-keeps-codes]").forEach(function (link) { link.addEventListener("click", keep); });
  document.querySelectorAll("[data-shows]").forEach(offerToShow);
  var summary = document.querySelector("[data-focus]");
  if (summary) { summary.focus(); }
}());
