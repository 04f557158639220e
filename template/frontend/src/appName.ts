/** The title in index.html, before a page puts its own in front of it. */
export const appName = document.title
