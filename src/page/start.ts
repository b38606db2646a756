// Puts the page into the document.

import { render } from "preact";
import { App } from "./app.ts";
import { part } from "./element.ts";

const page = document.getElementById("page");
if (page !== null) render(part(App, {}), page);
