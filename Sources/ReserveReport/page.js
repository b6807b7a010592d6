// SPDX-License-Identifier: Apache-2.0
//
// Draws the time lines of a report. Texts reach the page as text nodes only.
'use strict';
(() => {
	const errors = [];
	window.addEventListener('error', event => errors.push(String(event.message)));

	const data = JSON.parse(document.getElementById('data').textContent);
	const SPACE = 'http://www.w3.org/2000/svg';
	// All charts share these, so that one time stands at one place in all of them.
	const WIDE = 1140, LEFT = 168, RIGHT = 118, TOP = 8, AXIS = 22;
	const INNER = WIDE - LEFT - RIGHT;
	const END = Math.max(data.duration_ms, 1);
	// As ReportSeries.holeNanoseconds.
	const HOLE = 2000;
	const SPANS = ['direct reclaim', 'PFMEMALLOC throttle (throttle_direct_reclaim)',
		'reclaim wait (reclaim_throttle)', 'kswapd awake'];
	const COLOURS = {
		'free': 'free', 'min': 'min', 'low': 'low', 'high': 'high', 'boost': 'boost',
		'throttle line': 'limit',
	};
	const FURTHER = ['free', 'min', 'third', 'low'];
	const host = document.getElementById('charts');
	const panels = [];
	let view = [0, END];
	let wholeScale = false;

	function element(name, attributes, text) {
		const made = document.createElementNS(SPACE, name);
		for (const key in attributes) made.setAttribute(key, attributes[key]);
		if (text !== undefined) made.textContent = text;
		return made;
	}

	function html(name, attributes, text) {
		const made = document.createElement(name);
		for (const key in attributes) made.setAttribute(key, attributes[key]);
		if (text !== undefined) made.textContent = text;
		return made;
	}

	const place = time => LEFT + (time - view[0]) / (view[1] - view[0]) * INNER;
	const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

	function number(value) {
		if (value === undefined || value === null) return '?';
		const rounded = Math.abs(value) >= 100 ? Math.round(value) : Math.round(value * 10) / 10;
		return rounded.toLocaleString('en-US');
	}

	function length(ms) {
		if (ms < 1000) return Math.round(ms) + ' ms';
		return ms < 100000 ? (ms / 1000).toFixed(1) + ' s' : Math.round(ms / 1000) + ' s';
	}

	// Wall clock in UTC where the recording tells it, else seconds since its begin.
	function clock(ms, digits) {
		if (!data.clock_known) return '+' + (ms / 1000).toFixed(digits) + ' s';
		return new Date(data.start_ms + ms).toISOString().slice(11, digits > 0 ? 20 + digits : 19);
	}

	function steps(span, most) {
		const rough = span / most, power = Math.pow(10, Math.floor(Math.log10(rough)));
		for (const factor of [1, 2, 5, 10]) if (power * factor >= rough) return power * factor;
		return power * 10;
	}

	// ---- what a line shows: its values, or how fast its totals rise ----

	function prepare(chart) {
		const scale = chart.multiply / chart.divide;
		return chart.lines.map((line, index) => {
			const made = { name: line.name, style: line.style, t: [], v: [], lo: [], hi: [],
				colour: 'var(--' + (COLOURS[line.name] || FURTHER[index % FURTHER.length]) + ')' };
			for (let i = 0; i < line.t.length; i++) {
				if (line.total) {
					if (i === 0) continue;
					const span = (line.t[i] - line.t[i - 1]) / 1000;
					const rate = span > 0 ? Math.max(0, line.v[i] - line.v[i - 1]) / span : 0;
					// The rise happened since the former point: it is drawn from there on.
					made.t.push(line.t[i - 1]);
					made.v.push(rate * scale);
					if (i === line.t.length - 1) { made.t.push(line.t[i]); made.v.push(rate * scale); }
				} else {
					made.t.push(line.t[i]);
					made.v.push(line.v[i] * scale);
				}
			}
			made.lo = line.lo ? line.lo.map(value => value * scale) : made.v;
			made.hi = line.hi ? line.hi.map(value => value * scale) : made.v;
			made.hasRange = !!line.lo;
			made.holes = new Set(line.holes || []);
			made.total = line.total;
			return made;
		});
	}

	// Index of the last point at or before a time; -1: there is none.
	function before(line, time) {
		let low = 0, high = line.t.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (line.t[middle] <= time) low = middle + 1; else high = middle;
		}
		return low - 1;
	}

	// Whether what a point says still holds at a later time: not beyond a hole, nor long after
	// the last point, unless the recording ends there.
	function isKnown(line, index, time) {
		if (index < 0) return false;
		if (line.total || time - line.t[index] <= HOLE) return true;
		return index + 1 < line.t.length ? !line.holes.has(index + 1) : END - line.t[index] <= HOLE;
	}

	// ---- frame: what every chart has ----

	function frame(panel, high) {
		const svg = panel.svg;
		svg.textContent = '';
		svg.setAttribute('viewBox', `0 0 ${WIDE} ${high + TOP + AXIS}`);
		svg.append(element('rect', { x: LEFT, y: TOP, width: INNER, height: high, class: 'frame' }));
		const clip = 'clip-' + panel.index;
		const shape = element('clipPath', { id: clip });
		shape.append(element('rect', { x: LEFT, y: TOP, width: INNER, height: high }));
		svg.append(shape);
		const inner = element('g', { 'clip-path': `url(#${clip})` });
		for (const gap of data.gaps) {
			if (gap[1] < view[0] || gap[0] > view[1]) continue;
			const rect = element('rect', { x: place(gap[0]), y: TOP,
				width: Math.max(1, place(gap[1]) - place(gap[0])), height: high, class: 'gap' });
			rect.append(element('title', {}, 'no beat of the watch for ' + length(gap[1] - gap[0])));
			inner.append(rect);
		}
		const step = steps(view[1] - view[0], 8);
		const digits = step < 1000 ? (step < 100 ? 3 : 1) : 0;
		// On round times of the clock, where there is one.
		const shift = data.clock_known ? data.start_ms % step : 0;
		for (let at = Math.ceil((view[0] + shift) / step) * step - shift; at <= view[1]; at += step) {
			const x = place(at);
			svg.append(element('path', { d: `M${x} ${TOP}V${TOP + high}`, class: 'grid' }));
			svg.append(element('text', { x, y: TOP + high + 15, 'text-anchor': 'middle', class: 'soft' },
				clock(at, digits)));
		}
		svg.append(inner);
		panel.high = high;
		return inner;
	}

	// ---- lines ----

	function drawLines(panel) {
		const high = 150, chart = panel.chart;
		const inner = frame(panel, high);
		let top = 0;
		for (const line of panel.lines) {
			for (let i = Math.max(0, before(line, view[0])); i < line.t.length && line.t[i] <= view[1]; i++)
				top = Math.max(top, line.hi[i]);
		}
		// Plenty of free memory must not press the marks flat: what matters is near them.
		const marks = panel.lines.filter(line => line.name === 'high').map(line => Math.max(0, ...line.hi));
		panel.isCut = !wholeScale && marks.length > 0 && marks[0] > 0 && top > 3 * marks[0];
		if (panel.isCut) top = 3 * marks[0] / 1.06;
		top = top > 0 ? top * 1.06 : 1;
		const y = value => TOP + high - value / top * high;
		const step = steps(top, 4);
		for (let at = 0; at <= top; at += step) {
			panel.svg.insertBefore(element('path', { d: `M${LEFT} ${y(at)}H${LEFT + INNER}`, class: 'grid' }), inner);
			panel.svg.append(element('text', { x: LEFT - 6, y: y(at) + 4, 'text-anchor': 'end', class: 'soft' }, number(at)));
		}
		panel.svg.append(element('text', { x: 4, y: TOP + 10, class: 'soft' }, chart.unit));
		if (panel.isCut) panel.svg.append(element('text', { x: 4, y: TOP + 24, class: 'soft' }, 'cut at 3 x high'));
		for (const period of data.periods) {
			const verdict = period.kind === 'host';
			if (verdict ? !period.charts.length || !chart.id.startsWith('node-') : !period.charts.includes(chart.id)) continue;
			const rect = element('rect', { x: place(period.from), y: TOP, height: high, class: 'band',
				width: Math.max(1, place(period.to) - place(period.from)) });
			rect.append(element('title', {}, stateName(period) + ', ' + length(period.to - period.from)));
			inner.append(rect);
			const x = Math.max(place(period.from), LEFT) + 3;
			if (verdict && place(period.to) - x > 8 * period.subject.length)
				inner.append(element('text', { x, y: TOP + 12, class: 'band-name' }, period.subject));
		}
		const labels = [];
		for (const line of panel.lines) {
			const end = drawLine(inner, line, y);
			if (end !== undefined) labels.push({ y: end, line });
		}
		spread(labels, high);
		for (const label of labels)
			panel.svg.append(element('text', { x: LEFT + INNER + 6, y: label.y + 4,
				style: `fill:${label.line.colour}` }, label.line.name));
	}

	function drawLine(inner, line, y) {
		const first = Math.max(0, before(line, view[0]));
		let path = '', dips = '', last;
		if (line.style === 'point') return drawPoints(inner, line, y, first);
		for (let i = first; i < line.t.length && line.t[i] <= view[1]; i++) {
			const x = place(line.t[i]);
			// Where no figure came for long, nothing is known: the line ends and begins anew.
			if (path === '' || (line.holes.has(i) && i > first)) {
				if (path !== '') path += 'h1.5';
				path += `M${x.toFixed(1)} ${y(line.v[i]).toFixed(1)}`;
			} else {
				path += `H${x.toFixed(1)}V${y(line.v[i]).toFixed(1)}`;
			}
			if (line.hasRange && line.hi[i] > line.lo[i])
				dips += `M${x.toFixed(1)} ${y(line.lo[i]).toFixed(1)}V${y(line.hi[i]).toFixed(1)}`;
			last = line.v[i];
		}
		if (path === '') return undefined;
		const index = before(line, view[1]);
		path += isKnown(line, index, view[1]) ? `H${LEFT + INNER}` : 'h1.5';
		if (dips) inner.append(element('path', { d: dips, class: 'dips', style: `stroke:${line.colour}` }));
		inner.append(element('path', { d: path, class: 'line ' + line.style, style: `stroke:${line.colour}` }));
		return y(last);
	}

	// Figures of a moment, which say nothing of what follows.
	function drawPoints(inner, line, y, first) {
		let path = '', last;
		for (let i = first; i < line.t.length && line.t[i] <= view[1]; i++) {
			path += `M${(place(line.t[i]) - 2).toFixed(1)} ${y(line.v[i]).toFixed(1)}h4`;
			last = line.v[i];
		}
		if (path === '') return undefined;
		inner.append(element('path', { d: path, class: 'line point', style: `stroke:${line.colour}` }));
		return y(last);
	}

	// Labels keep eleven units apart, in the order of their lines.
	function spread(labels, high) {
		labels.sort((one, other) => one.y - other.y);
		for (let i = 1; i < labels.length; i++) labels[i].y = Math.max(labels[i].y, labels[i - 1].y + 11);
		let floor = TOP + high;
		for (let i = labels.length - 1; i >= 0; i--) {
			labels[i].y = Math.min(labels[i].y, floor);
			floor = labels[i].y - 11;
		}
	}

	// ---- lanes: a row for each state, task, taker; bars in time ----

	function rows(panel, names, each) {
		const size = panel.rowSize;
		const inner = frame(panel, names.length * size);
		names.forEach((name, index) => {
			const y = TOP + index * size;
			panel.svg.append(element('path', { d: `M${LEFT} ${y + size}H${LEFT + INNER}`, class: 'row' }));
			const shown = name.length > 24 ? name.slice(0, 23) + '\u2026' : name;
			const label = element('text', { x: LEFT - 6, y: y + size - 5, 'text-anchor': 'end' }, shown);
			label.append(element('title', {}, name));
			panel.svg.append(label);
			each(inner, index, y);
		});
	}

	// How bad a verdict is shows in the height of its bar as well.
	const STATES = ['unknown', 'calm', 'pressed', 'reserve', 'throttling', 'stalling', 'failing', 'deadlocked'];

	function bar(inner, from, to, y, size, kind, title) {
		if (to < view[0] || from > view[1]) return;
		const x = place(from);
		const rect = element('rect', { x, y: y + 2, width: Math.max(1.5, place(to) - x), height: size - 4, class: kind });
		rect.append(element('title', {}, title));
		inner.append(rect);
	}

	const stateName = period => period.kind === 'host' ? 'host ' + period.subject : period.kind + ', ' + period.subject;
	const rowName = period => period.kind === 'host' ? 'host (verdict)' : stateName(period);
	const stateClass = period => ['below low', 'throttle line'].includes(period.kind) ? 'state-low' :
		period.kind !== 'host' ? 'state' : ({ calm: 'state-calm', unknown: 'state-calm', pressed: 'state-low' })[period.subject] || 'state';

	function drawStates(panel) {
		const names = panel.names;
		rows(panel, names, (inner, index, y) => {
			if (names[index] === 'events') return drawMarks(inner, y);
			for (const period of data.periods) {
				if (rowName(period) !== names[index]) continue;
				const tall = period.kind === 'host' ?
					6 + (panel.rowSize - 6) * Math.max(STATES.indexOf(period.subject), 1) / 7 : panel.rowSize;
				bar(inner, period.from, period.to, y + panel.rowSize - tall, tall,
					stateClass(period),
					`${stateName(period)}, from ${clock(period.from, 3)} for ${length(period.to - period.from)}` +
					(period.open ? ', not over at the end' : ''));
				const x = clamp(place(period.from), LEFT, LEFT + INNER);
				const room = Math.min(place(period.to), LEFT + INNER) - x;
				if (period.kind === 'host' && room > 7.5 * period.subject.length)
					inner.append(element('text', { x: x + 4, y: y + 14, class: 'state-name' }, period.subject));
			}
		});
	}

	function drawMarks(inner, y) {
		let free = -Infinity;
		for (const mark of data.marks) {
			if (mark.t < view[0] || mark.t > view[1]) continue;
			const x = place(mark.t);
			const circle = element('circle', { cx: x, cy: y + 10, r: 7, class: 'event' + (mark.warning ? ' warning' : '') });
			circle.append(element('title', {}, clock(mark.t, 3) + ' ' + mark.text));
			inner.append(circle);
			// One letter where there is room for it; the title has the whole line.
			if (x - free < 12) continue;
			inner.append(element('text', { x, y: y + 13, class: 'letter' }, mark.kind.slice(0, 1).toUpperCase()));
			free = x;
		}
	}

	function drawTasks(panel) {
		rows(panel, data.lanes.map(lane => lane.name), (inner, index, y) => {
			for (const [kind, from, duration, open] of data.lanes[index].spans)
				bar(inner, from, from + duration, kind === 1 ? y : y + 1, panel.rowSize - (kind === 1 ? 0 : 2),
					`span${kind}` + (open ? ' open' : ''),
					`${data.lanes[index].name}: ${SPANS[kind]}, from ${clock(from, 3)} for ${length(duration)}` +
					(open ? ', not over at the end' : ''));
		});
	}

	function drawTakers(panel) {
		let most = 1;
		for (const taker of data.takers)
			taker.total.forEach((total, i) => { most = Math.max(most, total - (i ? taker.total[i - 1] : 0)); });
		rows(panel, data.takers.map(taker => taker.name), (inner, index, y) => {
			const taker = data.takers[index], size = panel.rowSize;
			taker.total.forEach((total, i) => {
				const pages = total - (i ? taker.total[i - 1] : 0);
				if (pages <= 0 || taker.t[i] < view[0] || taker.t[i] > view[1]) return;
				const tall = Math.max(2, pages / most * (size - 3));
				const rect = element('rect', { x: place(taker.t[i]) - 3, y: y + size - tall, width: 6, height: tall, class: 'taker' });
				rect.append(element('title', {}, `${taker.name}: ${number(pages)} pages in the second before ${clock(taker.t[i], 1)}`));
				inner.append(rect);
			});
		});
	}

	// ---- panels ----

	function panel(title, unit, source, draw, more) {
		const figure = html('figure', {});
		const caption = html('figcaption', {}, title);
		caption.append(html('small', {}, source));
		const legend = html('div', { class: 'legend' });
		const svg = element('svg', { role: 'img', 'aria-label': title + '. ' + source });
		figure.append(caption, legend, svg);
		host.append(figure);
		const made = Object.assign({ title, figure, legend, svg, draw, index: panels.length }, more);
		panels.push(made);
		return made;
	}

	function key(legend, name, mark) {
		const entry = html('span', {});
		const swatch = element('svg', { viewBox: '0 0 30 10', 'aria-hidden': 'true' });
		swatch.append(mark);
		const value = html('output', {});
		entry.append(swatch, document.createTextNode(name), value);
		legend.append(entry);
		return value;
	}

	function addChart(chart) {
		const made = panel(chart.title, chart.unit, chart.unit + '; ' + chart.source, drawLines,
			{ chart, lines: prepare(chart), id: chart.id });
		made.values = made.lines.map(line => key(made.legend, line.name, element('path',
			{ d: 'M0 5H30', class: 'line ' + line.style, style: `stroke:${line.colour}` })));
		addTable(made);
	}

	// The same figures as a table: of what is shown now, at most forty moments.
	function addTable(made) {
		const details = html('details', {});
		details.append(html('summary', {}, 'as a table'));
		const room = html('div', { class: 'table' });
		details.append(room);
		details.addEventListener('toggle', () => { if (details.open) fillTable(made, room); });
		made.figure.append(details);
	}

	function fillTable(made, room) {
		const table = html('table', {}), head = html('tr', {});
		for (const name of ['time', ...made.lines.map(line => line.name)])
			head.append(html('th', { scope: 'col' }, name));
		table.append(html('caption', {}, made.title + ', ' + made.chart.unit), head);
		const count = 40;
		for (let i = 0; i <= count; i++) {
			const at = view[0] + (view[1] - view[0]) * i / count;
			const row = html('tr', {});
			row.append(html('td', {}, clock(at, 1)));
			for (const value of valuesAt(made, at)) row.append(html('td', { class: 'number' }, value));
			table.append(row);
		}
		room.textContent = '';
		room.append(table);
	}

	function build() {
		const patterns = element('svg', { width: 0, height: 0, style: 'position:absolute', 'aria-hidden': 'true' });
		const defs = element('defs', {});
		const hatch = element('pattern', { id: 'hatch', width: 7, height: 7, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' });
		hatch.append(element('path', { d: 'M0 0V7', style: 'stroke:var(--hatch);stroke-width:1.5' }));
		const throttle = element('pattern', { id: 'solid-throttle', width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(-45)' });
		throttle.append(element('rect', { width: 5, height: 5, style: 'fill:var(--min);fill-opacity:.35' }),
			element('path', { d: 'M0 0V5', style: 'stroke:var(--min);stroke-width:3' }));
		defs.append(hatch, throttle);
		patterns.append(defs);
		host.append(patterns);

		const names = [...new Set(data.periods.map(rowName))];
		names.sort((one, other) => (other === 'host (verdict)') - (one === 'host (verdict)'));
		if (data.marks.length) names.push('events');
		if (names.length) {
			const made = panel('What state, and when', '',
				'letters: A alert, V verdict, N nbd, S swap, socket or slab, O oom, L loss; a thick ring is a warning; the list of events has all',
				drawStates, { names, rowSize: 20 });
			made.id = 'states';
		}
		let lanesDrawn = false;
		for (const chart of data.charts) {
			if (!lanesDrawn && !chart.id.startsWith('node-') && chart.id !== 'waiting') {
				addLanes();
				lanesDrawn = true;
			}
			addChart(chart);
		}
		if (!lanesDrawn) addLanes();
	}

	function addLanes() {
		if (data.lanes.length) {
			const left = data.lanes_left_out ? `; ${data.lanes_left_out} more tasks are in the tables` : '';
			const made = panel('Who waited, task by task', '',
				'direct_reclaim, throttle, reclaim_wait, kswapd; a dashed edge: not over at the end' + left,
				drawTasks, { rowSize: 17, id: 'lanes' });
			SPANS.forEach((name, kind) => {
				if (!data.lanes.some(lane => lane.spans.some(span => span[0] === kind))) return;
				made.values = made.values || [];
				key(made.legend, name, element('rect', { x: 1, y: 1, width: 28, height: 8, class: 'span' + kind }));
			});
		}
		if (data.takers.length)
			panel('Who took from the reserve', '', 'reserve: pages in each summary interval, by name, context and entitlement (gfp: __GFP_MEMALLOC, pf: PF_MEMALLOC, oom: victim); from records',
				drawTakers, { rowSize: 22, id: 'takers' });
	}

	function draw() {
		for (const made of panels) {
			made.draw(made);
			made.cross = element('path', { class: 'cross', visibility: 'hidden' });
			made.pick = element('rect', { class: 'pick', visibility: 'hidden', y: TOP, height: made.high });
			made.svg.append(made.pick, made.cross);
		}
	}

	// ---- zoom and hover ----

	function zoom(from, to) {
		const span = clamp(to - from, 20, END);
		const begin = clamp(from, 0, END - span);
		view = [begin, begin + span];
		draw();
		if (view[0] === 0 && view[1] === END) readout.textContent = '';
		else readout.textContent = `${clock(view[0], 1)} to ${clock(view[1], 1)} (${length(view[1] - view[0])})`;
	}

	function valuesAt(made, time) {
		return made.lines.map(line => {
			const i = before(line, time);
			if (!isKnown(line, i, time)) return '?';
			const low = line.lo[i], high = line.hi[i];
			if (!line.hasRange || low === high) return number(line.v[i]);
			return number(line.v[i]) + ' (' + number(low) + ' to ' + number(high) + ')';
		});
	}

	function hover(time) {
		for (const made of panels) {
			made.cross.setAttribute('d', `M${place(time)} ${TOP}V${TOP + made.high}`);
			made.cross.setAttribute('visibility', 'visible');
			if (!made.lines) continue;
			valuesAt(made, time).forEach((value, i) => { made.values[i].textContent = value; });
		}
		readout.textContent = clock(time, 3) + ' (+' + (time / 1000).toFixed(3) + ' s)';
	}

	function leave() {
		for (const made of panels) {
			made.cross.setAttribute('visibility', 'hidden');
			if (made.lines) made.values.forEach(value => { value.textContent = ''; });
		}
		zoom(view[0], view[1]);
	}

	function timeOf(made, event) {
		const box = made.svg.getBoundingClientRect();
		const x = (event.clientX - box.left) / box.width * WIDE;
		return clamp(view[0] + (x - LEFT) / INNER * (view[1] - view[0]), view[0], view[1]);
	}

	function listen(made) {
		let from = null;
		made.svg.addEventListener('pointerdown', event => {
			if (event.button !== 0) return;
			from = timeOf(made, event);
			made.svg.setPointerCapture(event.pointerId);
		});
		made.svg.addEventListener('pointermove', event => {
			const time = timeOf(made, event);
			hover(time);
			if (from === null) return;
			const [low, high] = [Math.min(from, time), Math.max(from, time)];
			for (const other of panels) {
				other.pick.setAttribute('x', place(low));
				other.pick.setAttribute('width', place(high) - place(low));
				other.pick.setAttribute('visibility', 'visible');
			}
		});
		made.svg.addEventListener('pointerup', event => {
			if (from === null) return;
			const begin = from, time = timeOf(made, event);
			from = null;
			if (Math.abs(place(time) - place(begin)) > 5) zoom(Math.min(begin, time), Math.max(begin, time));
			else draw();
		});
		made.svg.addEventListener('pointercancel', () => { from = null; draw(); });
		made.svg.addEventListener('pointerleave', () => { if (from === null) leave(); });
		made.svg.addEventListener('dblclick', () => zoom(0, END));
		made.svg.addEventListener('wheel', event => {
			if (!event.ctrlKey && !event.altKey) return;
			event.preventDefault();
			const time = timeOf(made, event), factor = event.deltaY > 0 ? 1.4 : 1 / 1.4;
			zoom(time - (time - view[0]) * factor, time + (view[1] - time) * factor);
		}, { passive: false });
	}

	function act(what) {
		const span = view[1] - view[0], middle = (view[0] + view[1]) / 2;
		if (what === 'in') zoom(middle - span / 4, middle + span / 4);
		if (what === 'out') zoom(middle - span, middle + span);
		if (what === 'earlier') zoom(view[0] - span / 4, view[1] - span / 4);
		if (what === 'later') zoom(view[0] + span / 4, view[1] + span / 4);
		if (what === 'reset') zoom(0, END);
		if (what === 'scale') {
			wholeScale = !wholeScale;
			document.querySelector('[data-do=scale]').setAttribute('aria-pressed', wholeScale);
			draw();
		}
	}

	const readout = document.getElementById('readout');
	build();
	draw();
	panels.forEach(listen);
	for (const button of document.querySelectorAll('#tools button'))
		button.addEventListener('click', () => act(button.dataset.do));
	document.addEventListener('keydown', event => {
		if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest('.table')) return;
		const what = { '+': 'in', '-': 'out', '0': 'reset', ArrowLeft: 'earlier', ArrowRight: 'later' }[event.key];
		if (what) act(what);
	});
	document.getElementById('theme').addEventListener('click', () => {
		const root = document.documentElement;
		const dark = root.dataset.theme ? root.dataset.theme === 'dark' :
			matchMedia('(prefers-color-scheme: dark)').matches;
		root.dataset.theme = dark ? 'light' : 'dark';
	});

	// For tests, and for a console: what is shown, and how to move it.
	window.reservewatchReport = {
		errors, zoom, hover, reset: () => zoom(0, END), view: () => view.slice(), panels: () => panels.map(made => ({
			id: made.id, title: made.title, lines: made.lines ? made.lines.map(line => line.name) : [],
			points: made.lines ? made.lines.reduce((sum, line) => sum + line.t.length, 0) : 0,
			drawn: made.svg.querySelectorAll('path.line, rect[class^=span], rect.taker, rect[class^=state], circle.event').length,
			values: made.values ? made.values.map(value => value.textContent) : [],
		})),
	};
	document.documentElement.dataset.ready = 'yes';
})();
