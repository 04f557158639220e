import { ApiClientError } from '../api/client'
import { useTexts, type Texts } from '../texts'

interface Props {
  error: Error
  /** What an error response with this status means here. */
  reasons?: Record<number, string>
}

/** What went wrong, and what to do. */
export function Problems({ error, reasons = {} }: Props) {
  const t = useTexts()
  const problems = messages(error, reasons, t)

  return (
    <div className="problems" role="alert">
      <h2>{t.problems}</h2>
      {problems.map((problem) => (
        <p key={problem}>{problem}</p>
      ))}
    </div>
  )
}

function messages(error: Error, reasons: Record<number, string>, t: Texts): string[] {
  if (!(error instanceof ApiClientError)) {
    return [error.message]
  }
  const reason = reasons[error.status]
  if (reason !== undefined) {
    return [reason]
  }
  const fields = error.fields.map((field) => t.wrong[field]).filter((text) => text !== undefined)
  return fields.length > 0 ? fields : [error.message]
}
