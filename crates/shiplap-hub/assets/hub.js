// Copies commands, and closes the account's menu. Pages are whole without it: its buttons are hidden
// until it runs, and what they copy can be selected.
"use strict";

const reveal = (root) => {
  for (const button of root.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
  }
};

const copy = async (button) => {
  const text = button.dataset.copy;
  const label = button.querySelector("span");
  button.dataset.done = "";
  const command = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(text);
    label.textContent = "Copied";
  } catch {
    // Browsers keep the clipboard from pages that come without TLS: then it is selected at least.
    getSelection().selectAllChildren(command);
    label.textContent = "Selected";
  }
  setTimeout(() => {
    label.textContent = "Copy";
    delete button.dataset.done;
  }, 1500);
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) {
    copy(button);
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) {
      menu.open = false;
    }
  }
});

reveal(document);
