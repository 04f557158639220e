import { useNavigate } from 'react-router'
import { useChangePassword } from '../../api/account'
import { Field } from '../../components/Field'
import { Form } from '../../components/Form'
import { Page } from '../../components/Page'
import { Cancel } from './Cancel'
import { CurrentPassword } from './CurrentPassword'

export function ChangePassword() {
  const change = useChangePassword()
  const navigate = useNavigate()

  function handleChange(current_password: string, new_password: string) {
    const state = { done: 'Your new password is set.' }
    change.mutate(
      { current_password, new_password },
      { onSuccess: () => void navigate('/account', { state }) },
    )
  }

  return (
    <Page title="Change your password">
      <Form
        action="Set the password"
        isPending={change.isPending}
        error={change.error?.message}
        onSubmit={({ current_password, new_password }) => handleChange(current_password, new_password)}
      >
        <p>You stay logged in here, and are logged out everywhere else.</p>
        <CurrentPassword />
        <Field
          label="New password"
          name="new_password"
          type="password"
          autoComplete="new-password"
          minLength={8}
          maxLength={128}
          required
          hint="8 to 128 characters."
        />
      </Form>
      <Cancel />
    </Page>
  )
}
