import { useId, type ComponentProps } from 'react'

interface Props extends ComponentProps<'input'> {
  label: string
  name: string
  hint?: string
}

export function Field({ label, hint, ...input }: Props) {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {hint && (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      <input id={id} aria-describedby={hint && `${id}-hint`} {...input} />
    </div>
  )
}
