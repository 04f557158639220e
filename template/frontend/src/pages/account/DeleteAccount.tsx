import { useDeleteAccount } from '../../api/account'
import { Form } from '../../components/Form'
import { Page } from '../../components/Page'
import { useTexts } from '../../texts'
import { Cancel } from './Cancel'
import { CurrentPassword } from './CurrentPassword'

export function DeleteAccount() {
  const deletion = useDeleteAccount()
  const t = useTexts()

  return (
    <Page title={t.deleteTitle}>
      <Form
        action={t.deleteAccount}
        isPending={deletion.isPending}
        error={deletion.error}
        onSubmit={({ current_password }) => deletion.mutate({ current_password })}
      >
        <p>{t.deleteText}</p>
        <CurrentPassword />
      </Form>
      <Cancel />
    </Page>
  )
}
