/** The title in index.html, before a page prepends its own. */
export const appName = document.title
