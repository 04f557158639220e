import { Field } from '../../components/Field'

/** What hands the account over asks for the password again. */
export function CurrentPassword() {
  return (
    <Field
      label="Current password"
      name="current_password"
      type="password"
      autoComplete="current-password"
      required
    />
  )
}
