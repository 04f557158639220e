import { useId, type ComponentProps } from 'react'

interface Props extends ComponentProps<'input'> {
  label: string
  name: string
  hint?: string
}

export function Field({ label, hint, ...input }: Props) {
  const id = useId()
  return (
    <div>
      <label htmlFor={id}>{label}</label>
      <input id={id} aria-describedby={hint && `${id}-hint`} {...input} />
      {hint && (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  )
}
