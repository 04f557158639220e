import { Page } from '../components/Page'

/** Stands in for a page that failed. The router writes the error to the console. */
export function Failure() {
  return (
    <main>
      <Page title="Something went wrong">
        <p className="problems" role="alert">
          This page failed. <a href="/">Go to the home page</a>
        </p>
      </Page>
    </main>
  )
}
