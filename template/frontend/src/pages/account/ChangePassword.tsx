import { useNavigate } from 'react-router'
import { useChangePassword } from '../../api/account'
import { Field } from '../../components/Field'
import { Form } from '../../components/Form'
import { Page } from '../../components/Page'
import { useTexts } from '../../texts'
import { Cancel } from './Cancel'
import { CurrentPassword } from './CurrentPassword'

export function ChangePassword() {
  const change = useChangePassword()
  const navigate = useNavigate()
  const t = useTexts()

  function handleChange(current_password: string, new_password: string) {
    const state = { done: t.passwordSet }
    change.mutate(
      { current_password, new_password },
      { onSuccess: () => void navigate('/account', { state }) },
    )
  }

  return (
    <Page title={t.changePassword}>
      <Form
        action={t.setPassword}
        isPending={change.isPending}
        error={change.error}
        onSubmit={({ current_password, new_password }) => handleChange(current_password, new_password)}
      >
        <p>{t.changePasswordText}</p>
        <CurrentPassword />
        <Field
          label={t.newPassword}
          name="new_password"
          type="password"
          autoComplete="new-password"
          minLength={8}
          required
          hint={t.passwordHint}
        />
      </Form>
      <Cancel />
    </Page>
  )
}
