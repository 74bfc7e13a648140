"""Pages of monitoring, a module a page. They read rollups; rows only where a page is of rows."""
