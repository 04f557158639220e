import { Link } from 'react-router'
import type { Page } from '../bindings/Page'

/** Leads to the other pages of a list. A list of one page has none. */
export function Pager({ page: { page, total_pages } }: { page: Page<unknown> }) {
  if (total_pages <= 1) {
    return null
  }
  return (
    <nav aria-label="Pages of the list">
      {page > 1 && (
        <Link to={`?page=${page - 1}`} rel="prev">
          Previous
        </Link>
      )}
      <span>
        Page {page} of {total_pages}
      </span>
      {page < total_pages && (
        <Link to={`?page=${page + 1}`} rel="next">
          Next
        </Link>
      )}
    </nav>
  )
}
