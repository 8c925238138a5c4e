/*
 * viewer.js VIEWER TRACE: reads a trace with the importer of Chromium's trace viewer (chrome://tracing, whose format
 * Perfetto's viewer takes over), and prints what it has made of it as JSON: warnings, and for each process its
 * threads with their numbers of slices and of slices that never end.
 *
 * VIEWER is trace_viewer_full.html, the viewer in one page, as Debian's packages of Go's sources have it. It is a page
 * for a browser; jsdom plays one, and what the page defines is evaluated piece by piece, since its user interface,
 * which nothing here needs, would want more of a browser than that.
 */
"use strict";

const fs = require("fs");
const acorn = require("acorn");
const { JSDOM, VirtualConsole } = require("jsdom");

function statements(script) {
	const tree = acorn.parse(script, { ecmaVersion: 2020, sourceType: "script" });
	return tree.body.flatMap((s) => s.type === "ExpressionStatement" && s.expression.type === "SequenceExpression"
		? s.expression.expressions : [s]).map((s) => script.slice(s.start, s.end));
}

function loadViewer(file) {
	const page = fs.readFileSync(file, "utf8");
	const { window } = new JSDOM("<!DOCTYPE html><body></body>", {
		runScripts: "outside-only", virtualConsole: new VirtualConsole(), pretendToBeVisual: true });

	window.global = window;
	window.document.registerElement = () => function () {};
	for (const [, script] of page.matchAll(/<script>([\s\S]*?)<\/script>/g)) {
		for (const statement of statements(script)) {
			try {
				window.eval(statement);
			} catch (e) {
				continue;        /* a part of the user interface */
			}
		}
	}
	return window;
}

const window = loadViewer(process.argv[2]);
window.text = fs.readFileSync(process.argv[3], "utf8");
console.log(window.eval(`(function () {
	const model = new tr.Model(), options = new tr.importer.ImportOptions();
	options.pruneEmptyContainers = false;
	new tr.importer.Import(model, options).importTraces([text]);
	return JSON.stringify({
		warnings: model.importWarnings.map((w) => w.type + ": " + w.message),
		processes: model.getAllProcesses().map((p) => ({
			name: p.name,
			threads: Object.values(p.threads).map((t) => ({
				name: t.name, slices: t.sliceGroup.length, open: t.sliceGroup.openSliceCount })),
			counters: Object.values(p.counters).map((c) => ({ name: c.name, samples: c.numSamples })),
		})),
	});
})()`));
