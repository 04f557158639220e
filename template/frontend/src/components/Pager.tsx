import { Link } from 'react-router'
import type { Page } from '../bindings/Page'
import { useTexts } from '../texts'

/** Links to the other pages of a list, if there are any. */
export function Pager({ page: { page, total_pages } }: { page: Page<unknown> }) {
  const t = useTexts()

  if (total_pages <= 1) {
    return null
  }
  return (
    <nav aria-label={t.listPages}>
      {page > 1 && (
        <Link to={`?page=${page - 1}`} rel="prev">
          {t.previous}
        </Link>
      )}
      <span>{t.pageOf(page, total_pages)}</span>
      {page < total_pages && (
        <Link to={`?page=${page + 1}`} rel="next">
          {t.next}
        </Link>
      )}
    </nav>
  )
}
