import type { ReactNode, SubmitEvent } from 'react'
import { Problems } from './Problems'

interface Props {
  /** The button's label. */
  action: string
  isPending: boolean
  error?: Error | null
  /** What an error response with this status means here. */
  reasons?: Record<number, string>
  /** Receives the values of the fields by name. */
  onSubmit: (values: Record<string, string>) => void
  children: ReactNode
}

export function Form({ action, isPending, error, reasons, onSubmit, children }: Props) {
  function handleSubmit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault()
    if (isPending) {
      return
    }
    const data = new FormData(event.currentTarget)
    const values = [...data].map(([name, value]) => [name, String(value)])
    onSubmit(Object.fromEntries(values))
  }

  return (
    <form onSubmit={handleSubmit}>
      {error && <Problems error={error} reasons={reasons} />}
      {children}
      {/* Disabled, it would lose the focus of the keyboard. */}
      <button type="submit" aria-disabled={isPending}>
        {action}
      </button>
    </form>
  )
}
