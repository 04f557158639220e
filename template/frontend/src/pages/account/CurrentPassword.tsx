import { Field } from '../../components/Field'
import { useTexts } from '../../texts'

/** Changes that could hand the account over require the password again. */
export function CurrentPassword() {
  const t = useTexts()

  return (
    <Field
      label={t.currentPassword}
      name="current_password"
      type="password"
      autoComplete="current-password"
      required
    />
  )
}
