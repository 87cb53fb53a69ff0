"""The table of the dashboard, in a page that has nothing else."""


def test_rows_that_come_in_pieces_are_all_in_the_table(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    browser.evaluate("""(async () => {
        const { Table } = await import('/assets/parts/table.js');
        const rows = new Map([[1, { id: 1 }]]);
        const column = { key: 'name', label: 'Name', value: ({ id }) => id, text: ({ id }) => `piece ${id}` };
        const sort = { key: 'name', isDown: false };
        const table = new Table({ name: 'pieces', label: 'Pieces', columns: [column], byId: () => rows, sort });
        document.querySelector('main').replaceChildren(table.element);
        table.refresh();
        rows.set(2, { id: 2 });
        table.refresh();  // too soon for another order, and nothing comes after it
    })()""")
    browser.wait_for_text("piece 1", ".pieces")
    browser.wait_for_text("piece 2", ".pieces", seconds=10)


def test_rows_and_titles_of_groups_are_as_high_as_the_table_counts_them(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    heights, total = browser.evaluate("""(async () => {
        const { Table } = await import('/assets/parts/table.js');
        const rows = new Map(Array.from({ length: 500 }, (_, id) => [id, { id }]));
        const column = { key: 'name', label: 'Name', value: ({ id }) => id, text: ({ id }) => `row ${id}` };
        const sort = { key: 'name', isDown: false };
        const groups = (all) => [{ key: 'all', title: 'All', note: '', rows: all, isFolded: false }];
        const table = new Table({ name: 'rows', label: 'Rows', columns: [column], byId: () => rows, sort, groups });
        document.querySelector('main').replaceChildren(table.element);
        table.refresh();
        const shown = [...table.body.querySelectorAll('tr:not(.space)')];
        const heightOf = (element) => element.getBoundingClientRect().height;
        return [[...new Set(shown.map(heightOf))], heightOf(table.body)];
    })()""")
    assert len(heights) == 1 and total == 501 * heights[0], (heights, total)


def test_a_filter_that_leaves_few_rows_shows_them_wherever_the_table_was_scrolled_to(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    shown = browser.evaluate("""(async () => {
        const { Table } = await import('/assets/parts/table.js');
        const all = new Map(Array.from({ length: 1000 }, (_, id) => [id, { id }]));
        let count = 1000;
        const column = { key: 'name', label: 'Name', value: ({ id }) => id, text: ({ id }) => `row ${id}` };
        const sort = { key: 'name', isDown: false };
        const rows = () => [...all.values()].slice(0, count);
        const table = new Table({ name: 'rows', label: 'Rows', columns: [column], byId: () => all, rows, sort });
        document.querySelector('main').replaceChildren(table.element);
        const shown = async (left) => {
            count = left;
            table.refresh(true);
            const atOnce = table.body.innerText.trim().split(/\\s*\\n\\s*/);
            await new Promise((resolve) => setTimeout(resolve, 300));
            const [top, bottom] = [table.scroller.getBoundingClientRect()].flatMap(({ top, bottom }) => [top, bottom]);
            const isInView = (row) => row.getBoundingClientRect().bottom > top + 38 && row.getBoundingClientRect().top < bottom;
            return [atOnce.at(-1), [...table.body.querySelectorAll('tr:not(.space)')].filter(isInView).at(-1)?.innerText];
        };
        const seen = [];
        for (const left of [10, 1]) {
            await shown(1000);
            table.scroller.scrollTop = 22000;
            await new Promise((resolve) => setTimeout(resolve, 300));
            seen.push(await shown(left));
        }
        return seen;
    })()""")
    assert shown == [["row 9", "row 9"], ["row 0", "row 0"]]


def test_a_row_that_has_gone_is_not_shown_until_the_rows_are_arranged_again(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    shown = browser.evaluate("""(async () => {
        const { Table } = await import('/assets/parts/table.js');
        const rows = new Map([1, 2, 3].map((id) => [id, { id }]));
        const column = { key: 'name', label: 'Name', value: ({ id }) => id, text: ({ id }) => `row ${id}` };
        const sort = { key: 'name', isDown: false };
        const table = new Table({ name: 'rows', label: 'Rows', columns: [column], byId: () => rows, sort });
        document.querySelector('main').replaceChildren(table.element);
        table.refresh();
        rows.delete(2);
        table.draw();
        const shown = table.element.innerText;
        rows.set(2, { id: 2 });
        table.draw();
        return [shown, table.element.innerText];
    })()""")
    assert ["row 2" in text for text in shown] == [False, True], shown
    assert all("row 1" in text and "row 3" in text for text in shown), shown


def test_the_focus_stays_on_its_row(browser, idle_server):
    """Or the key Enter opens what another row is about. Of one that leaves the view it goes to the table."""
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    seen = browser.evaluate("""(async () => {
        const { drawLink, Table } = await import('/assets/parts/table.js');
        const all = new Map(Array.from({ length: 300 }, (_, id) => [id, { id, place: id }]));
        const columns = [{ key: 'name', label: 'Name', value: ({ place }) => place,
          draw: (cell, { id }) => drawLink(cell, `#row-${id}`, `row ${id}`) }];
        const sort = { key: 'name', isDown: false };
        let isGrouped = false;
        const groups = (rows) => (isGrouped ? [{ key: 'all', title: 'All', note: '', rows, isFolded: false }] : null);
        const table = new Table({ name: 'rows', label: 'Rows', columns, byId: () => all, sort, groups });
        document.querySelector('main').replaceChildren(table.element);
        table.refresh(true);
        const linkOf = (id) => table.body.querySelector(`a[href="#row-${id}"]`);
        const places = () => [...table.body.querySelectorAll('tr:not(.space) a')].map((link) => link.innerText);
        const focused = () => document.activeElement.innerText.split('\\n')[0];
        const seen = [];
        linkOf(3).focus();
        for (const place of [7.5, -1, 2.5, 0.5]) {
            all.get(3).place = place;
            table.refresh(true);
            seen.push([focused(), places().indexOf('row 3'), new Set(places()).size === places().length]);
        }
        isGrouped = true;
        table.refresh(true);
        seen.push([focused(), places().indexOf('row 3')]);
        table.scroller.scrollTop = 88;
        table.draw();
        seen.push([focused(), places().indexOf('row 3')]);
        all.get(3).place = 1000;
        table.refresh(true);
        seen.push(document.activeElement === table.scroller);
        return seen;
    })()""")
    assert seen == [["row 3", 7, True], ["row 3", 0, True], ["row 3", 3, True], ["row 3", 1, True], ["row 3", 1], ["row 3", 1], True], seen
